"""``python -m examples.litestar_host``"""

from examples.litestar_host.app import settings
from examples.serving import serve

if __name__ == "__main__":
    serve("examples.litestar_host.app:app", settings)
