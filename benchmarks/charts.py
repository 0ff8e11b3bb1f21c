"""placeholder"""


def draw(results, path):
    return []
