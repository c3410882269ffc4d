# SkyPilot says that it cannot end an instance of this cloud, but its skylet on the instance can. It
# gets its autodown here, before anything else, and the cloud's key by file_mounts.
if ! { read -r sky_python < ~/.sky/python_path &&
  env -u PYTHONPATH "$sky_python" -c "
from sky.skylet import autostop_lib
autostop_lib.set_autostop($idle_minutes, 'cloudvmray', autostop_lib.AutostopWaitFor.JOBS, True)
autostop_lib.set_last_active_time_to_now()"; }; then
  echo "nothing would end this instance: its skylet takes no autodown" >&2
  exit 1
fi
