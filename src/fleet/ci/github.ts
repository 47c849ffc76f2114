import { BRANCH, buildLine, INSTALL, MOVE_PINS, packLine, type WorkflowKind } from "./workflow.ts";

const AUTH = `if [ -n "$AUTH" ]; then
  umask 077
  printf '%s' "$AUTH" > "$RUNNER_TEMP/auth.json"
  echo "REGISTRY_AUTH_FILE=$RUNNER_TEMP/auth.json" >> "$GITHUB_ENV"
fi`;
const PROPOSE = [
  `git push --force origin ${BRANCH}`,
  `open=$(gh pr list --head ${BRANCH} --state open --json number --jq length)`,
  `[ "$open" != 0 ] || gh pr create --fill --head ${BRANCH}`,
];
/** What is pushed with the token of GitHub itself starts no workflow. */
const TOKEN = "${{ secrets.PINS_TOKEN || github.token }}";
const MODE =
  "${{ github.ref_name == github.event.repository.default_branch && 'write' || 'read' }}";

/** GitHub Actions, workflow-syntax-for-github-actions. */
export const github: WorkflowKind = {
  maxShards: 256,
  image: "none",
  cache: "optional",
  about: () => [
    "Goes to .github/workflows/images.yml",
    "For private registries, set the secret REGISTRY_AUTH to what auth.json of skopeo login has",
    "To open pull requests, Actions have to be allowed to (Settings, Actions, General). They start",
    "no jobs, unless the secret PINS_TOKEN has a token that may write contents and pull requests",
  ],
  make({ shards, cache }) {
    const isParted = shards > 1;
    const name = isParted ? "dist-${{ matrix.shard }}" : "dist";
    const line = buildLine(
      isParted ? `$SHARD/${shards}` : undefined,
      ...(cache === undefined ? [] : ['--cache "$CACHE"']),
      "--out dist",
    );
    const env = {
      ...(isParted && { SHARD: "${{ matrix.shard }}" }),
      ...(cache !== undefined && { CACHE: `${cache},${MODE}` }),
    };
    const store = {
      uses: "actions/cache@v4",
      with: {
        path: ".stowage",
        key: `stowage-${
          isParted ? "${{ matrix.shard }}-" : ""
        }\${{ hashFiles('images.lock.json') }}`,
        "restore-keys": isParted ? "stowage-${{ matrix.shard }}-" : "stowage-",
      },
    };
    return {
      name: "images",
      on: { push: {}, schedule: [{ cron: "17 4 * * 1" }], workflow_dispatch: {} },
      permissions: { contents: "read" },
      jobs: {
        build: {
          if: "github.event_name == 'push'",
          "runs-on": "ubuntu-24.04",
          ...(isParted && {
            strategy: {
              "fail-fast": false,
              matrix: { shard: Array.from({ length: shards }, (_, at) => at + 1) },
            },
          }),
          steps: [
            // Trees are dated by their last commits.
            ...prepare({ "fetch-depth": 0 }),
            ...(cache === undefined ? [store] : []),
            { run: line, ...(Object.keys(env).length > 0 && { env }) },
            { run: packLine("dist.tar.zst") },
            {
              uses: "actions/upload-artifact@v4",
              with: { name, path: "dist.tar.zst", "if-no-files-found": "ignore" },
            },
            ...(cache === undefined ? [{ run: "stowage gc" }] : []),
          ],
        },
        pins: {
          if: "github.event_name != 'push'",
          "runs-on": "ubuntu-24.04",
          permissions: { contents: "write", "pull-requests": "write" },
          steps: [
            ...prepare({ token: TOKEN }),
            {
              run: [...MOVE_PINS, ...PROPOSE].join("\n"),
              env: { GH_TOKEN: TOKEN },
            },
          ],
        },
      },
    };
  },
};

function prepare(checkout: Readonly<Record<string, string | number>>): readonly unknown[] {
  return [
    { uses: "actions/checkout@v4", with: checkout },
    { run: INSTALL.tools },
    { uses: "denoland/setup-deno@v2" },
    { run: INSTALL.stowage },
    { run: AUTH, env: { AUTH: "${{ secrets.REGISTRY_AUTH }}" } },
  ];
}
