from setuptools import setup

setup(
    name="v2skit-mlflow",
    version="0.1.0",
    description="Plug-in of v2skit: logs of training runs in MLflow, on a server or in files",
    license="Apache-2.0",
    packages=["v2skit_mlflow"],
    # The whole package, mlflow, has the same modules and more.
    install_requires=["v2skit>=0.2", "mlflow-skinny>=2.10"],
    entry_points={"v2skit": ["mlflow = v2skit_mlflow"]},
)
