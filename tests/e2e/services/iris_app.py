"""The application as a deployment would write it: one line, the model named by the environment."""

import os

import septet

app = septet.asgi(os.environ["MODEL_UNDER_TEST"])
