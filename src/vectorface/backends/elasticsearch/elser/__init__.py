"""ELSER in the cluster: its download, its deployments, what fits and what holds it up."""
