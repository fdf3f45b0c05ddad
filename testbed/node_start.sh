#!/bin/sh
# Turns fresh mount, PID, UTS and network namespaces into a machine of its own, then becomes
# its process 1. $1: the node's name, $2: the folder that is its disk, $3: the program to become.
set -eu
name=$1 disk=$2 init=$3

mount -t proc proc /proc
mount --make-rshared /
hostname "$name"

# What the kubelet reads as the boot, and the settings of the kernel that it would change for
# the whole machine: it finds them as it wants them and leaves the real ones alone.
for file in boot_id overcommit_memory panic_on_oom panic panic_on_oops root_maxkeys root_maxbytes; do
    case $file in
    boot_id) target=kernel/random/boot_id ;;
    overcommit_memory | panic_on_oom) target=vm/$file ;;
    root_max*) target=kernel/keys/$file ;;
    *) target=kernel/$file ;;
    esac
    mount --bind "$disk/sys/$file" "/proc/sys/$target"
done

# What the node writes there stays on its own disk.
for folder in /etc /home /opt /usr/libexec /var/lib /var/log; do
    layers=$disk/layers$folder
    mkdir -p "$layers/upper" "$layers/work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$layers/upper,workdir=$layers/work" "$folder"
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
# Not on an overlay: containerd has to put overlays there itself, and what the machine writes into
# the disk's folder has to be noticed by programs of the node that watch it.
for folder in /etc/kubernetes /var/lib/kubelet /var/lib/containerd /usr/libexec/kubernetes; do
    mkdir -p "$folder" "$disk$folder"
    mount --bind "$disk$folder" "$folder"
done

# The machine's end of the cable is plugged in from outside; only then is this a node.
: > /run/node-is-ready
exec "$init"
