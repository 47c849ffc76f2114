import { BRANCH, buildLine, MOVE_PINS, packLine, type WorkflowKind } from "./workflow.ts";

/** The token stays in the environment; helpers of the runner, whose token may not push, are reset. */
const HELPER = `!f() { echo username=oauth2; echo "password=$PINS_TOKEN"; }; f`;
const PROPOSE = `git -c credential.helper= -c credential.helper='${HELPER}' push --force ` +
  `-o merge_request.create -o merge_request.target="$CI_DEFAULT_BRANCH" ` +
  `"$CI_PROJECT_URL.git" ${BRANCH}`;

/** GitLab CI/CD, its YAML syntax reference. */
export const gitlab: WorkflowKind = {
  maxShards: 200,
  image: "required",
  cache: "optional",
  about: ({ cache }) => [
    "Goes to .gitlab-ci.yml, or is included there",
    "The image has stowage, skopeo, tar, zstd, gzip and git",
    "For private registries, set the variable REGISTRY_AUTH_FILE, of type file, to what auth.json",
    "of skopeo login has",
    ...(cache === undefined ? ["/cache is a volume of the runner"] : []),
    "The job pins runs in pipelines of a schedule; PINS_TOKEN is a project access token, masked,",
    "with write_repository",
  ],
  make({ shards, cache, image }) {
    const isParted = shards > 1;
    const archive = isParted ? "dist-$CI_NODE_INDEX.tar.zst" : "dist.tar.zst";
    const line = buildLine(
      isParted ? "$CI_NODE_INDEX/$CI_NODE_TOTAL" : undefined,
      ...(cache === undefined ? [] : ['--cache "$CACHE,$CACHE_MODE"']),
      "--out dist",
    );
    const ofDefault = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH";
    const isScheduled = '$CI_PIPELINE_SOURCE == "schedule"';
    return {
      images: {
        image: { name: image, entrypoint: [""] },
        ...(isParted && { parallel: shards }),
        variables: {
          // Trees are dated by their last commits.
          GIT_DEPTH: "0",
          ...(cache === undefined
            ? { STOWAGE_STORE: "/cache/stowage" }
            : { CACHE: cache, CACHE_MODE: "read" }),
        },
        rules: [
          { if: isScheduled, when: "never" },
          ...(cache === undefined ? [] : [{ if: ofDefault, variables: { CACHE_MODE: "write" } }]),
          { if: "$CI_COMMIT_BRANCH" },
        ],
        script: [line, packLine(archive)],
        // Wrong content, a wrong config or a stale lock are the same at a second try.
        retry: { max: 2, exit_codes: [1] },
        artifacts: { paths: ["dist*.tar.zst"] },
      },
      pins: {
        image: { name: image, entrypoint: [""] },
        rules: [{ if: isScheduled }],
        script: [...MOVE_PINS, PROPOSE],
      },
    };
  },
};
