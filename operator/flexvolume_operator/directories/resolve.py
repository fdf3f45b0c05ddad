"""Decides which plugin directory a driver goes into.

The kubelet looks into one directory, which differs from platform to platform; sources are asked in
order and the first that knows wins. The source is shown to people, as a wrong directory is the
commonest reason for a driver that is "installed" and never found.
"""

from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR, PluginDir


def resolve(override: str, flag: str) -> PluginDir:
    """The directory by `spec.pluginDir`, else the operator's flag, else the upstream default.

    Both parameters are normalised, or empty for "not said".
    """
    if override:
        return PluginDir(override, "Override")
    if flag:
        return PluginDir(flag, "Flag")
    return PluginDir(DEFAULT_PLUGIN_DIR, "Default")
