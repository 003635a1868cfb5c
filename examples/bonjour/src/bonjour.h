/* What the service answers, without sockets, clock or environment: everything here is tested. */
#ifndef BONJOUR_H
#define BONJOUR_H

#include <stddef.h>

enum { REQUEST_BYTES_MAX = 8192, RESPONSE_BYTES_MAX = 4096, PATH_BYTES_MAX = 256 };

struct settings {
    const char *greeting;
    const char *version;
    const char *environment;
};

struct counters {
    unsigned long answered[5]; /* by class of status: 1xx to 5xx */
};

struct request {
    char method[8];
    char path[PATH_BYTES_MAX];
};

struct response {
    int status;
    size_t length;
    char bytes[RESPONSE_BYTES_MAX];
};

/* Whether the head of a request is complete. */
int request_complete(const char *bytes, size_t length);

/* Reads the request line; returns 0, or the status to answer. */
int request_parse(const char *bytes, size_t length, struct request *request);

/* Writes the whole answer to a request, or to the failure `status` when it is not 0. */
void respond(const struct settings *settings, struct counters *counters, int status,
             const struct request *request, struct response *response);

/* Writes one line of log, as JSON, control characters and quotes escaped. */
size_t log_line(char *line, size_t size, const char *time, const struct request *request,
                int status, size_t bytes);

#endif
