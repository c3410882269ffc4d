# SkyPilot has no autodown on this cloud, but its skylet on the instance does. This sets the autodown
# before anything else; file_mounts brings the cloud's key.
if ! { read -r sky_python < ~/.sky/python_path &&
  env -u PYTHONPATH "$sky_python" -c "
from sky.skylet import autostop_lib
autostop_lib.set_autostop($idle_minutes, 'cloudvmray', autostop_lib.AutostopWaitFor.JOBS, True)
autostop_lib.set_last_active_time_to_now()"; }; then
  echo "this instance could not end itself: its skylet accepts no autodown" >&2
  exit 1
fi
