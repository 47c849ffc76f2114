/**
 * The packages of queues; each is loaded when it is needed. BullMQ comes last, as it takes the drivers
 * that are found before it: `deno bundle` looks for packages in the order of their imports.
 */
export const PACKAGES = {
  ioredis: () => import("ioredis"),
  pg: () => import("pg"),
  bullmq: () => import("bullmq"),
} as const;
