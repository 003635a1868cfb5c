#include "bonjour.h"

#include <stdio.h>
#include <string.h>

int request_complete(const char *bytes, size_t length)
{
    for (size_t at = 0; at + 4 <= length; at++)
        if (memcmp(bytes + at, "\r\n\r\n", 4) == 0)
            return 1;
    return 0;
}

static size_t word(const char *bytes, size_t length, char *out, size_t size)
{
    size_t at = 0;
    while (at < length && bytes[at] != ' ' && bytes[at] != '\r') {
        if (at + 1 >= size)
            return 0;
        out[at] = bytes[at];
        at++;
    }
    out[at] = '\0';
    return at;
}

int request_parse(const char *bytes, size_t length, struct request *request)
{
    memset(request, 0, sizeof *request);
    size_t method = word(bytes, length, request->method, sizeof request->method);
    if (method == 0 || method == length || bytes[method] != ' ')
        return 400;
    bytes += method + 1;
    length -= method + 1;
    size_t path = word(bytes, length, request->path, sizeof request->path);
    if (path == 0)
        return length > 0 && bytes[0] == '/' ? 414 : 400;
    if (request->path[0] != '/' || path + 9 > length || memcmp(bytes + path, " HTTP/1.", 8) != 0)
        return 400;
    request->path[strcspn(request->path, "?")] = '\0';
    return 0;
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 414:
        return "URI Too Long";
    default:
        return "Bad Request";
    }
}

static size_t metrics(const struct counters *counters, char *body, size_t size)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    size_t at = (size_t)snprintf(body, size,
                                 "# HELP bonjour_requests_total Requests answered.\n"
                                 "# TYPE bonjour_requests_total counter\n");
    for (int index = 0; index < 5; index++)
        at += (size_t)snprintf(body + at, size - at, "bonjour_requests_total{class=\"%s\"} %lu\n",
                               classes[index], counters->answered[index]);
    return at;
}

void respond(const struct settings *settings, struct counters *counters, int status,
             const struct request *request, struct response *response)
{
    char body[1024];
    size_t length;
    const char *type = "text/plain; charset=utf-8";
    int head = strcmp(request->method, "HEAD") == 0;
    if (status == 0 && !head && strcmp(request->method, "GET") != 0)
        status = 405;
    if (status == 0 && strcmp(request->path, "/") == 0) {
        status = 200;
        length = (size_t)snprintf(body, sizeof body, "%.200s depuis %.60s, version %.60s\n",
                                  settings->greeting, settings->environment, settings->version);
    } else if (status == 0 && strcmp(request->path, "/health") == 0) {
        status = 200;
        type = "application/health+json";
        length = (size_t)snprintf(body, sizeof body, "{\"status\":\"pass\",\"version\":\"%.60s\"}\n",
                                  settings->version);
    } else if (status == 0 && strcmp(request->path, "/metrics") == 0) {
        status = 200;
        type = "text/plain; version=0.0.4";
        length = metrics(counters, body, sizeof body);
    } else {
        status = status == 0 ? 404 : status;
        type = "application/problem+json";
        length = (size_t)snprintf(body, sizeof body, "{\"status\":%d,\"title\":\"%s\"}\n", status,
                                  reason(status));
    }
    counters->answered[status / 100 - 1]++;
    response->status = status;
    response->length = (size_t)snprintf(
        response->bytes, sizeof response->bytes,
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
        status, reason(status), type, length, head ? "" : body);
}

size_t log_line(char *line, size_t size, const char *time, const struct request *request,
                int status, size_t bytes)
{
    char path[PATH_BYTES_MAX * 6];
    size_t at = 0;
    for (const char *c = request->path; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
            at += (size_t)snprintf(path + at, sizeof path - at, "\\u%04x", byte);
        else
            path[at++] = *c;
    }
    path[at] = '\0';
    const char *method = status == 400 ? "" : request->method;
    return (size_t)snprintf(line, size,
                            "{\"time\":\"%s\",\"level\":\"info\",\"message\":\"request\","
                            "\"method\":\"%s\",\"path\":\"%s\",\"status\":%d,\"bytes\":%zu}\n",
                            time, method, path, status, bytes);
}
