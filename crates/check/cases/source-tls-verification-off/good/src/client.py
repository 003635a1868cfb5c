import requests


def lire(url):
    # never verify=False
    return requests.get(url, verify='/etc/ssl/root.pem')
