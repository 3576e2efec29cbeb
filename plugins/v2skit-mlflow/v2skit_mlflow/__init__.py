"""Registers the component of this plug-in; its class is imported when a config uses it."""

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("logger", "mlflow", "v2skit_mlflow.logger:Mlflow")
