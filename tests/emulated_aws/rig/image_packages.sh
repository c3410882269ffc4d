#!/bin/bash
# Inside the image: the user whom SkyPilot logs in as, and all that it would download.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# No daemon starts while packages are installed: they would be this machine's.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
  openssh-server sudo rsync curl iproute2 procps psmisc python3.11 python3.11-venv > /dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
ssh-keygen -A > /dev/null

useradd --create-home --shell /bin/bash --password '*' ubuntu
echo 'ubuntu ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-ubuntu
# SkyPilot asks its installed packages of uv once more, on an instance without a network.
mkdir -p /etc/uv
echo 'offline = true' > /etc/uv/uv.toml
mkdir -p /opt/trainer

as_ubuntu() { runuser -u ubuntu -- env HOME=/home/ubuntu UV_OFFLINE=0 "$@"; }
cd /home/ubuntu
# SkyPilot's own Python there, under the name that it looks for.
as_ubuntu /usr/bin/python3.11 -m venv skypilot-runtime
as_ubuntu skypilot-runtime/bin/pip install --quiet --no-cache-dir --prefix .local uv
# Compiled once here, not again on every instance.
as_ubuntu env VIRTUAL_ENV=/home/ubuntu/skypilot-runtime .local/bin/uv pip install \
  --quiet --no-cache --compile-bytecode --requirement /tmp/image_requirements.txt
# The Python of a task, which finds the trainer's packages where boot.sh mounts them.
as_ubuntu /usr/bin/python3.11 -m venv --system-site-packages sky-user-env
echo /opt/trainer > sky-user-env/lib/python3.11/site-packages/trainer.pth
