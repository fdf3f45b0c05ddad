"""Everything an administrator can set, in one value; nothing else reads the environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `flexvolume-operator run`; the command's options document each.

    `kubeconfig` empty: the pod's own ServiceAccount. `volume_plugin_dir`, `flex_volume_plugin_dir`
    empty: not said. `plugin_dir_pools`: JSON, see directories.pools. `kubelet_account` empty:
    kubelets are not asked; `kubelet_certificate_authority` empty: the cluster's own.
    `lease_namespace` empty: no Lease is taken, for a single process at a desk.
    """

    installer_namespace: str
    installer_image: str
    installer_image_pull_policy: str
    volume_plugin_dir: str
    flex_volume_plugin_dir: str
    plugin_dir_pools: str
    kubelet_account: str
    kubelet_certificate_authority: str
    kubelet_require_verified_tls: bool
    kubeconfig: str
    lease_namespace: str
    identity: str
    listen: str
