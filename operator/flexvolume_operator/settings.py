"""Everything an administrator can set, in one value; nothing else reads the environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `flexvolume-operator run`; the command's options document each.

    `kubeconfig` empty: the pod's own ServiceAccount. `volume_plugin_dir` empty: the upstream
    default directory. `lease_namespace` empty: no Lease is taken, for a single process at a desk.
    """

    installer_namespace: str
    installer_image: str
    installer_image_pull_policy: str
    volume_plugin_dir: str
    kubeconfig: str
    lease_namespace: str
    identity: str
    listen: str
