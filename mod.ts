/**
 * Stowage gets exact container images from somewhere into something: an OS tree, an archive,
 * another registry.
 *
 * A config says which images, where from and what they must be; `stowage()` fetches them with
 * skopeo into a content-addressed store in osbuild's own layout, verified by their own bytes.
 *
 * ```ts
 * import { compile, defineConfig, docker } from "@stowage/stowage";
 * import { assertEquals } from "@std/assert";
 *
 * const config = defineConfig({
 *   sources: {
 *     proxy: docker("docker.io/library/caddy:2.8", { platform: "linux/arm64" }),
 *     agent: docker("registry.acme.io/edge/agent:1.4"),
 *   },
 * });
 *
 * assertEquals([...compile(config).nodes.keys()], ["source/proxy", "source/agent"]);
 * ```
 *
 * @module
 */

export * from "./config/mod.ts";
export type { Plan, PlannedArtifact, PlannedSource, PlannedStage } from "./src/build/plan.ts";
export type {
  Bundle,
  BundleArtifact,
  BundleBlob,
  BundleImage,
  BundleOrigin,
  BundleReferrer,
  BundleSource,
  NamedReferrer,
} from "./src/carry/bundle_format.ts";
export type { CreatedBundle } from "./src/carry/create_bundle.ts";
export type { NextPiece, WantedPiece } from "./src/carry/discs.ts";
export type { LoadedBundle } from "./src/carry/load_bundle.ts";
export type { BundleInfo } from "./src/carry/look_into_bundle.ts";
export type { MirrorFile, MirrorFormat } from "./src/carry/mirror_config.ts";
export type { Planned, Pruned } from "./src/carry/prune.ts";
export type { PlannedPush, PushPlan, PushResult } from "./src/carry/push.ts";
export type { Receipt } from "./src/carry/receipt.ts";
export {
  type Attempt,
  type AttemptReason,
  BundleError,
  ConfigError,
  ConfigFileError,
  type ConfigIssue,
  ContentError,
  type ErrorCode,
  type ErrorData,
  type Failures,
  FetchError,
  ImportError,
  InterruptedError,
  type LeftOut,
  LockError,
  type LockProblem,
  PlatformError,
  PolicyError,
  PushError,
  QueueError,
  RunError,
  StageError,
  StoreBusyError,
  StoreError,
  type StoreHolder,
  StowageError,
  SystemError,
  ToolError,
  ToolMissingError,
  ToolStartError,
  UnexpectedError,
  UsageError,
  WorkerError,
} from "./src/errors/mod.ts";
export type {
  AbsentEvent,
  ArtifactEvent,
  ArtifactResult,
  ByteCounts,
  CarriedBytes,
  CarryingEvent,
  DamagedEvent,
  FailedEvent,
  GarbageEvent,
  GarbageTotalEvent,
  ImageEvent,
  ImageResult,
  IndexedImage,
  ItemName,
  Listener,
  MadeImage,
  NoticeEvent,
  PieceEvent,
  ProgressEvent,
  PrunedEvent,
  PushedEvent,
  PushedImage,
  PushedReferrer,
  ReferrerResult,
  ReferrersEvent,
  RemovedEvent,
  RepairedEvent,
  ResolvedEvent,
  RetryEvent,
  RunEvent,
  SkippedEvent,
  StageEvent,
  StageResult,
  StageStartEvent,
  StartEvent,
  StowageEvent,
  ToldEvent,
  TrafficEvent,
  UnrepairedEvent,
  VerifyingEvent,
  WorkerEvent,
} from "./src/events.ts";
export type {
  Finding,
  FindingKind,
  FindingProblem,
  LeftFinding,
  RepairedFinding,
} from "./src/finding.ts";
export {
  CI_SYSTEMS,
  type CiSystem,
  makeWorkflow,
  type WorkflowOptions,
} from "./src/fleet/ci/make_workflow.ts";
export { compile, type CompileOptions } from "./src/graph/compile.ts";
export type { Shard } from "./src/graph/shard.ts";
export { draw, type DrawnNode } from "./src/graph/draw.ts";
export { GRAPH_FORMATS, type GraphFormat } from "./src/graph/formats.ts";
export type {
  ArtifactNode,
  BaseNode,
  Graph,
  InputNode,
  Node,
  NodeKind,
  Settings,
  SourceNode,
  StageNode,
  TagsNode,
} from "./src/graph/node.ts";
export { importConfig, type ImportOptions, type ImportResult } from "./src/import/import_config.ts";
export type { Ability } from "./src/stages/mod.ts";
export type { InputImage } from "./src/inputs/mod.ts";
export type { GcResult } from "./src/maintain/gc.ts";
export type { PruneCacheResult, PrunedFromCache } from "./src/fleet/prune_cache.ts";
export type { ArtifactChange } from "./src/lockfile/lock_artifacts.ts";
export type { LockChange, LockedRule, LockResult } from "./src/lockfile/make_lock.ts";
export type { ListedArtifact } from "./src/maintain/list_artifacts.ts";
export type { ListedReferrer, StoredFormat, StoredImage } from "./src/maintain/list_images.ts";
export type { VerifyResult } from "./src/maintain/verify.ts";
export type { OutdatedResult, OutdatedRule, OutdatedSource } from "./src/lockfile/outdated.ts";
export type {
  Lock,
  LockedArtifact,
  LockedImage,
  LockedSource,
  LockedTags,
} from "./src/graph/lock_schema.ts";
export type { SignedBy } from "./src/tools/signing.ts";
export { readLock, writeLock } from "./src/lockfile/lock_file.ts";
export { formatReport, REPORT_FORMATS, type ReportFormat } from "./src/report/format_report.ts";
export type { Report, ReportImage, ReportLayer, ReportTrust } from "./src/report/report.ts";
export type { LastRun, RunStep } from "./src/store/last_run.ts";
export type * from "./src/transports/location.ts";
export { formatLocation } from "./src/transports/mod.ts";
export type {
  BuildOptions,
  BuildResult,
  BundleOptions,
  CreateBundleOptions,
  FarOptions,
  FetchOptions,
  FetchResult,
  GcOptions,
  LoadBundleOptions,
  LockOptions,
  PruneCacheOptions,
  PushOptions,
  ReceiptOptions,
  ReportOptions,
  RunOptions,
  StoreOptions,
  Stowage,
  StowageOptions,
  Timed,
  VerifyOptions,
  WorkerOptions,
  WorkerResult,
  Workers,
} from "./src/sdk.ts";
export { inspectBundle, runWorker, stowage, verifyBundle } from "./src/stowage.ts";
