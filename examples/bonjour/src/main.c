/* Sockets, signals and the clock. One thread: a slow client costs a slot, never the service. */
#define _GNU_SOURCE
#include "bonjour.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 128, IDLE_SECONDS_MAX = 10, DRAIN_SECONDS_MAX = 5 };

struct connection {
    int socket;
    time_t since;
    size_t received, sent;
    char request[REQUEST_BYTES_MAX];
    struct response response;
};

static volatile sig_atomic_t stopping;

static void on_stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void say(const char *message)
{
    char stamp[32];
    time_t seconds = time(NULL);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
    printf("{\"time\":\"%s\",\"level\":\"info\",\"message\":\"%s\"}\n", stamp, message);
    fflush(stdout);
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : otherwise;
}

static int listen_on(int port)
{
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)port),
                                  .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 128) != 0)
        return -1;
    return listener;
}

static void answer(struct connection *connection, const struct settings *settings,
                   struct counters *counters)
{
    struct request request;
    char line[4096], stamp[32];
    time_t seconds = time(NULL);
    int status = request_parse(connection->request, connection->received, &request);
    respond(settings, counters, status, &request, &connection->response);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
    log_line(line, sizeof line, stamp, &request, connection->response.status,
             connection->response.length);
    fputs(line, stdout);
    fflush(stdout);
}

/* Reads what came or writes what is left; returns 0 when the connection is over. */
static int serve(struct connection *connection, const struct settings *settings,
                 struct counters *counters)
{
    if (connection->response.length == 0) {
        ssize_t count = recv(connection->socket, connection->request + connection->received,
                             sizeof connection->request - connection->received, 0);
        if (count <= 0)
            return count < 0 && (errno == EAGAIN || errno == EINTR);
        connection->received += (size_t)count;
        if (!request_complete(connection->request, connection->received) &&
            connection->received < sizeof connection->request)
            return 1;
        answer(connection, settings, counters);
    }
    ssize_t count = send(connection->socket, connection->response.bytes + connection->sent,
                         connection->response.length - connection->sent, MSG_NOSIGNAL);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    connection->sent += (size_t)count;
    return connection->sent < connection->response.length;
}

static int run(int listener, const struct settings *settings, const sigset_t *mask)
{
    static struct connection connections[CONNECTIONS_MAX];
    struct counters counters = {{0}};
    int open = 0;
    time_t deadline = 0;
    while (!stopping || open > 0) {
        struct pollfd polls[CONNECTIONS_MAX + 1];
        struct timespec second = {.tv_sec = 1};
        if (stopping && deadline == 0) {
            deadline = now() + DRAIN_SECONDS_MAX;
            say("stopping");
        }
        if (deadline != 0 && now() >= deadline)
            break;
        for (int index = 0; index < open; index++) {
            short wanted = connections[index].response.length == 0 ? POLLIN : POLLOUT;
            polls[index] = (struct pollfd){connections[index].socket, wanted, 0};
        }
        int listening = !stopping && open < CONNECTIONS_MAX;
        polls[open] = (struct pollfd){listening ? listener : -1, POLLIN, 0};
        if (ppoll(polls, (nfds_t)open + 1, &second, mask) < 0 && errno != EINTR)
            return 1;
        int accepts = listening && (polls[open].revents & POLLIN) != 0;
        for (int index = open - 1; index >= 0; index--) {
            struct connection *connection = &connections[index];
            int alive = now() - connection->since < IDLE_SECONDS_MAX;
            if (alive && polls[index].revents != 0)
                alive = serve(connection, settings, &counters);
            if (!alive) {
                close(connection->socket);
                open--;
                if (index != open)
                    memcpy(connection, &connections[open], sizeof *connection);
            }
        }
        if (accepts) {
            int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (client >= 0) {
                memset(&connections[open], 0, sizeof connections[open]);
                connections[open].socket = client;
                connections[open++].since = now();
            }
        }
    }
    return 0;
}

int main(void)
{
    struct settings settings = {setting("BONJOUR_GREETING", "Bonjour"),
                                setting("BONJOUR_VERSION", "dev"),
                                setting("BONJOUR_ENVIRONMENT", "local")};
    int port = atoi(setting("PORT", "8080"));
    struct sigaction action = {.sa_handler = on_stop};
    sigset_t blocked, mask;
    /* Signals arrive only inside ppoll, so that none is lost between the test and the wait. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int listener = listen_on(port);
    if (listener < 0) {
        perror("listen");
        return 1;
    }
    say("listening");
    int code = run(listener, &settings, &mask);
    say("stopped");
    return code;
}
