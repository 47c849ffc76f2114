import { buildLine, type WorkflowKind } from "./workflow.ts";

const AUTH_FILE = "/auth/config.json";
const AUTH = `if [ -e ${AUTH_FILE} ]; then export REGISTRY_AUTH_FILE=${AUTH_FILE}; fi`;

/** An Indexed Job of Kubernetes, batch/v1; it fails an index at once since 1.29. */
export const kubernetes: WorkflowKind = {
  maxShards: 100_000,
  image: "required",
  cache: "required",
  about: () => [
    "Fills the cache, from which stowage build --out takes what the Job has made",
    "kubectl create configmap images --from-file=images.config.json --from-file=images.lock.json",
    "kubectl create secret docker-registry registry-auth ..., for private registries",
    "kubectl create -f images-job.yaml",
    "The image has stowage, skopeo, tar, zstd and gzip",
  ],
  make({ shards, cache, image }) {
    const line = buildLine(`$((JOB_COMPLETION_INDEX + 1))/${shards}`, '--cache "$CACHE,write"');
    return {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { generateName: "images-" },
      spec: {
        completionMode: "Indexed",
        completions: shards,
        parallelism: shards,
        backoffLimitPerIndex: 2,
        podFailurePolicy: {
          rules: [
            { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
            {
              action: "FailIndex",
              onExitCodes: { containerName: "stowage", operator: "In", values: [2, 3, 4] },
            },
          ],
        },
        template: {
          spec: {
            restartPolicy: "Never",
            containers: [
              {
                name: "stowage",
                image,
                workingDir: "/images",
                command: ["sh", "-ec", `${AUTH}\nexec ${line}`],
                env: [
                  { name: "CACHE", value: cache },
                  { name: "STOWAGE_STORE", value: "/store/stowage" },
                ],
                volumeMounts: [
                  { name: "images", mountPath: "/images", readOnly: true },
                  { name: "auth", mountPath: "/auth", readOnly: true },
                  { name: "store", mountPath: "/store" },
                ],
              },
            ],
            volumes: [
              { name: "images", configMap: { name: "images" } },
              {
                name: "auth",
                secret: {
                  secretName: "registry-auth",
                  optional: true,
                  items: [{ key: ".dockerconfigjson", path: "config.json" }],
                },
              },
              { name: "store", emptyDir: {} },
            ],
          },
        },
      },
    };
  },
};
