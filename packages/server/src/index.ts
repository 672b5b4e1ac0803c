// First, and set apart from what is sorted.
import './cli/require-node.ts'

export { type Decided, type ErrorCode, MillraceError } from '@millrace/protocol'
export type { AccessOptions, Revoke } from './access/access.ts'
export type { Action, AdminAction } from './access/actions.ts'
export type { AuthenticateHook, HostPrincipal } from './access/authenticate.ts'
export type { Authorize, Resource } from './access/authorize.ts'
export { type AuthenticationFacts, anonymous, type Caller, type Principal } from './access/caller.ts'
export type { ApiKey, ApiKeys } from './access/keys.ts'
export type { PrincipalLimits } from './access/principal-limits.ts'
export type { Revocation } from './access/revocations.ts'
export type { ChannelRule, ChannelRules, ModelRules, Who } from './access/rules.ts'
export type { Share, ShareOptions, Shares } from './access/shares.ts'
export type { TokenIssuer } from './access/tokens.ts'
export type { Publication, Published } from './channels/channels.ts'
export { defineConfig, type JwtConfig, type MillraceConfig } from './config/config.ts'
export { EphemeralLogs, type EphemeralOptions } from './engines/memory/ephemeral.ts'
export { type MemoryEngineOptions, memoryEngine } from './engines/memory/index.ts'
export { type SqliteEngineOptions, sqliteEngine } from './engines/sqlite/index.ts'
export type { Handler } from './gateway/handlers.ts'
export type { ListenOptions } from './gateway/listen.ts'
export type { UsageOptions } from './limits/limiting.ts'
export type { LimitOptions } from './limits/options.ts'
export type { Price } from './limits/prices.ts'
export type { UsageOfDay, UsageQuery, UsageReader } from './limits/usage.ts'
export type * from './log/log.ts'
export type { Millrace } from './millrace.ts'
export {
  type AiSdkUpstreamOptions,
  aiSdkUpstream,
  fromLangChain,
  type LangChainOptions,
  type LangGraphUpstreamOptions,
  langGraphUpstream,
  type OwnModel,
} from './models/index.ts'
export type * from './models/model.ts'
export type * from './operations/observer.ts'
export type { WebhookEvent, WebhookOptions } from './operations/webhooks/target.ts'
export type { MillraceOptions } from './options.ts'
export type { Source } from './runs/lane.ts'
export type { Run } from './runs/run.ts'
export { createMillrace } from './server.ts'
export type { ChatRequest, RegenerateRequest, ResumeRequest, SourceRequest } from './sessions/chat-requests.ts'
export type { DecideRequest, DecisionInput } from './sessions/decisions.ts'
export type { FileBytesPart, MessageWithBytes, WithFiles } from './sessions/given-files.ts'
export type { MoveRequest, Queue, QueueChange, Queued, QueueRequest } from './sessions/queue.ts'
export type { Transcript } from './sessions/transcript.ts'
export { defineTool, type JsonSchema, type Tool, type ToolContext, ToolError, type ToolsOption } from './tools/index.ts'
