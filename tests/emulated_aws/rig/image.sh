#!/bin/bash
# Mounts the layer $1 over this machine's root, in a namespace of its own, and fills it.
set -euo pipefail
layer=$1 sources=$2
mkdir -p "$layer/work" "$layer/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
mount -t proc proc "$layer/root/proc"
mount --rbind /dev "$layer/root/dev"
mount -t tmpfs tmpfs "$layer/root/tmp"
cp "$sources"/image_* "$layer/root/tmp"
# Often a link to a file outside of the layer.
cp --remove-destination "$(readlink --canonicalize /etc/resolv.conf)" "$layer/root/etc/resolv.conf"
chroot "$layer/root" bash /tmp/image_packages.sh
