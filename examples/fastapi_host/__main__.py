"""``python -m examples.fastapi_host``"""

from examples.fastapi_host.app import settings
from examples.serving import serve

if __name__ == "__main__":
    serve("examples.fastapi_host.app:app", settings)
