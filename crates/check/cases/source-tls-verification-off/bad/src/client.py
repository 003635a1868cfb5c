import requests


def lire(url):
    return requests.get(url, verify=False)
