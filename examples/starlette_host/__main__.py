"""``python -m examples.starlette_host``"""

from examples.serving import serve
from examples.starlette_host.app import settings

if __name__ == "__main__":
    serve("examples.starlette_host.app:app", settings)
