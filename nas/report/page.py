"""placeholder until helper writes it"""


def html(result):
    return "<html></html>"
