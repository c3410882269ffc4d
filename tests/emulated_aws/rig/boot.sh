#!/bin/bash
# The first process of an instance, in namespaces of its own: mounts its disk, then is its sshd,
# which also collects whatever ends there.
#   $1 an empty folder for the disk   $2 its size   $3 the image
#   $4 the trainer's packages         $5 the instance's name   $6 AWS's endpoint
#   $7 the rules by which boto3 finds its S3
set -euo pipefail
disk=$1 size=$2 image=$3 packages=$4 name=$5 endpoint=$6 rules=$7
mount -t tmpfs -o "size=$size" tmpfs "$disk"
mkdir "$disk/upper" "$disk/work" "$disk/root"
root=$disk/root
mount -t overlay overlay -o "lowerdir=$image,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/sshd"
mount --bind -o ro "$packages" "$root/opt/trainer"
cp -r "$rules" "$root/opt/aws"
chmod -R a+rX "$root/opt/aws"

ip link set lo up
hostname "$name"
printf '127.0.0.1 localhost %s\n' "$name" > "$root/etc/hosts"
install -d -o 1001 -g 1001 -m 700 "$root/home/ubuntu/.ssh"
install -o 1001 -g 1001 -m 600 "$disk.keys" "$root/home/ubuntu/.ssh/authorized_keys"
# The power button: a machine without systemd is off when its first process is gone.
cat > "$root/usr/local/sbin/shutdown" <<'END'
#!/bin/sh
# shutdown -P +MINUTES
setsid sh -c "sleep $(( ${2#+} * 60 )); while kill -TERM 1; do sleep 1; done" > /dev/null 2>&1 < /dev/null &
END
chmod +x "$root/usr/local/sbin/shutdown"
chroot "$root" /bin/sh -x < "$disk.runcmd"
exec chroot "$root" /usr/sbin/sshd -D -E /var/log/sshd.log \
  -o PasswordAuthentication=no -o UsePAM=no -o MaxSessions=200 -o MaxStartups=200 \
  -o SetEnv="AWS_ENDPOINT_URL=$endpoint AWS_DATA_PATH=/opt/aws"
