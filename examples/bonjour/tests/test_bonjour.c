/* Unit tests; prints a JUnit report on stdout and fails when a test does. */
#include "../src/bonjour.h"

#include <stdio.h>
#include <string.h>

static const struct settings SETTINGS = {"Bonjour", "1.2.3", "test"};
static struct counters counters;
static struct response response;
static int failures;
static char report[16384];
static size_t used;

static void check(const char *name, int holds)
{
    failures += !holds;
    used += (size_t)snprintf(report + used, sizeof report - used,
                             "<testcase classname=\"bonjour\" name=\"%s\">%s</testcase>\n", name,
                             holds ? "" : "<failure/>");
}

static int ask(const char *text)
{
    struct request request;
    int status = request_parse(text, strlen(text), &request);
    respond(&SETTINGS, &counters, status, &request, &response);
    return response.status;
}

static int answers(const char *text)
{
    return strstr(response.bytes, text) != NULL;
}

static void requests(void)
{
    char text[600];
    check("a request is complete at its empty line",
          request_complete("GET / HTTP/1.1\r\n\r\n", 18) && !request_complete("GET / HT", 8));
    check("an empty request is refused", ask("") == 400);
    check("a method alone is refused", ask("GET\r\n\r\n") == 400);
    check("a long method is refused", ask("GETGETGETGET / HTTP/1.1\r\n") == 400);
    check("a path without slash is refused", ask("GET x HTTP/1.1\r\n") == 400);
    check("a missing path is refused", ask("GET  HTTP/1.1\r\n") == 400);
    check("another protocol is refused", ask("GET / SMTP/1.1\r\n") == 400);
    snprintf(text, sizeof text, "GET /%0500d HTTP/1.1\r\n\r\n", 0);
    check("a long path is refused", ask(text) == 414 && answers("URI Too Long"));
}

static void routes(void)
{
    check("the root greets with environment and version",
          ask("GET / HTTP/1.1\r\n\r\n") == 200 && answers("Bonjour depuis test, version 1.2.3\n"));
    check("a query is left out", ask("GET /?a=b HTTP/1.1\r\n\r\n") == 200);
    check("health is JSON", ask("GET /health HTTP/1.1\r\n\r\n") == 200 &&
                                answers("application/health+json") &&
                                answers("\"status\":\"pass\""));
    check("metrics count answers", ask("GET /metrics HTTP/1.1\r\n\r\n") == 200 &&
                                       answers("bonjour_requests_total{class=\"4xx\"} 7\n"));
    check("another path is a problem", ask("GET /x HTTP/1.1\r\n\r\n") == 404 &&
                                           answers("application/problem+json"));
    check("another method is refused", ask("POST / HTTP/1.1\r\n\r\n") == 405);
    check("HEAD has a length and no body", ask("HEAD / HTTP/1.1\r\n\r\n") == 200 &&
                                               answers("Content-Length: 35") && !answers("depuis"));
}

static void logs(void)
{
    char line[4096];
    struct request request = {"GET", "/a\"b\n"};
    log_line(line, sizeof line, "T", &request, 404, 12);
    check("a log line is JSON whatever the path",
          strcmp(line, "{\"time\":\"T\",\"level\":\"info\",\"message\":\"request\","
                       "\"method\":\"GET\",\"path\":\"/a\\u0022b\\u000a\",\"status\":404,"
                       "\"bytes\":12}\n") == 0);
}

int main(void)
{
    requests();
    routes();
    logs();
    printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
           "<testsuite name=\"bonjour\" failures=\"%d\">\n%s</testsuite>\n</testsuites>\n",
           failures, report);
    return failures != 0;
}
