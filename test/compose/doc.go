// Package compose checks docker-compose.yml and the Dockerfile without a Docker engine: what loads,
// what is pinned, what waits for what. That the services come up is not shown here.
package compose
