/** Sessions and channels as an application shows them: stores for any framework, and the fold under them. */
export { type ChannelEvents, type ChannelLike, type ChannelStore, channelStoreOf } from './channel-store.ts'
export type { Chat, ChatOptions, ChatStore, ClientCall } from './chat.ts'
export { chatOf } from './chat-store.ts'
export { findRun } from './find-run.ts'
export {
  type ChatFile,
  type ChatLane,
  type ChatRun,
  type ChatTranscript,
  foldTranscript,
  interruptTranscript,
  joinTranscript,
} from './fold.ts'
export type { Store } from './live-store.ts'
export type { AskOptions, PendingRun } from './questions.ts'
export { type ChannelShowOptions, showChannel, showChat, showRun } from './show.ts'
export type { ChatStorage } from './storage.ts'
export { type CallOf, type ChatTypes, type PartOf, type TypedPart, typedParts } from './typed-parts.ts'
