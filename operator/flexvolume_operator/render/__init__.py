"""FlexDrivers into the manifests of their children."""
