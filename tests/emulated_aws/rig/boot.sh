#!/bin/bash
# The first process of an instance, in namespaces of its own: mounts its disk, then is its sshd,
# which also collects whatever ends there, or the command of a container.
#   $1 an empty folder for the disk; beside it lie .keys, .runcmd, .env, .hosts, .rules (by which
#      boto3 finds its S3) and, of a container, .command
#   SIZE of the disk, IMAGE, PACKAGES of the trainer, CERTIFICATE, NAME, LOGIN, PORTS: variables
set -euo pipefail
disk=$1
mount -t tmpfs -o "size=$SIZE" tmpfs "$disk"
mkdir "$disk/upper" "$disk/work" "$disk/root"
root=$disk/root
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/sshd"
mount --bind -o ro "$PACKAGES" "$root/opt/trainer"
cp -r "$disk.rules" "$root/opt/aws"
chmod -R a+rX "$root/opt/aws"
install -m 644 "$CERTIFICATE" "$root/etc/ssl/emulated.pem"

ip link set lo up
hostname "$NAME"
cp "$disk.hosts" "$root/etc/hosts"
home=/home/ubuntu owner=1001
if [ "$LOGIN" = root ]; then
  home=/root owner=0
  for program in skypilot-runtime sky-user-env .local; do
    ln -s "/home/ubuntu/$program" "$root$home/$program"
  done
  sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"  # no password, and not locked
fi
mapfile -t environment < "$disk.env"
options=(PasswordAuthentication=no UsePAM=no MaxSessions=200 MaxStartups=200)
for port in $PORTS; do options+=("Port=$port"); done

if [ -f "$disk.command" ]; then
  printf '%s\n' "${options[@]/=/ }" | cat - "$root/etc/ssh/sshd_config" > "$disk/sshd_config"
  cp "$disk/sshd_config" "$root/etc/ssh/sshd_config"
  cp "$disk.command" "$root/command"
  # All that it would install is in the image, and there is no mirror to wait for.
  ln -s /bin/true "$root/usr/local/bin/apt"
  exec chroot "$root" env "HOME=$home" "${environment[@]}" bash /command
fi

install -d -o "$owner" -g "$owner" -m 700 "$root$home/.ssh"
install -o "$owner" -g "$owner" -m 600 "$disk.keys" "$root$home/.ssh/authorized_keys"
# The power button: a machine without systemd is off when its first process is gone.
cat > "$root/usr/local/sbin/shutdown" <<'END'
#!/bin/sh
# shutdown -P +MINUTES
setsid sh -c "sleep $(( ${2#+} * 60 )); while kill -TERM 1; do sleep 1; done" > /dev/null 2>&1 < /dev/null &
END
chmod +x "$root/usr/local/sbin/shutdown"
chroot "$root" /bin/sh -x < "$disk.runcmd"
exec chroot "$root" /usr/sbin/sshd -D -E /var/log/sshd.log \
  "${options[@]/#/-o}" -o SetEnv="${environment[*]}"
