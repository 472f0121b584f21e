"""``python -m examples.flask_host``"""

from examples.flask_host.app import settings
from examples.serving import serve

if __name__ == "__main__":
    serve("examples.flask_host.app:app", settings)
