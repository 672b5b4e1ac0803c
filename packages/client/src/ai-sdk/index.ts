/** The AI SDK on Millrace: a transport for `useChat`, and conversations as its messages. */
export { toUIMessages, type UIMessagesOptions } from './messages.ts'
export { type MillraceTransportOptions, millraceTransport } from './transport.ts'
