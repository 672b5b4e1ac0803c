/** English. Its shape is what every other language has to fill: a missing key does not compile. */
import type { ErrorCode } from '@millrace/protocol'

const errorTitles: Partial<Record<ErrorCode, string>> = {
  model_failed: 'The model ended with an error',
  model_rejected: 'The model refused the request',
  model_rate_limited: 'The model provider is limiting requests',
  model_timeout: 'The model did not answer in time',
  model_not_found: 'There is no model of this name',
  model_unavailable: 'This model is not ready here',
  too_many_runs: 'Too many answers are in progress',
  query_too_long: 'The question is too long',
  session_not_found: 'This conversation no longer exists',
}

/** The server describes its models in English; other languages have their own words for those it always has. */
const modelDescriptions: Partial<Record<string, string>> = {}

export const en = {
  tag: 'en',
  otherLanguage: '中文',
  switchLanguage: 'Switch to Chinese',
  skipToComposer: 'Skip to the question',
  newSession: 'New conversation',
  theme: { system: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' },

  emptyTitle: 'Ask, and watch it arrive',
  emptyText:
    'Every word is in a log before it reaches you. Reload, open a second tab or lose the network in mid-answer: nothing is lost.',
  suggestionsLabel: 'Suggestions',
  suggestions: {
    guide: { title: 'What is Millrace?', detail: 'Ask the built-in guide', query: 'What is Millrace?' },
    long: { title: 'Stream something long', detail: 'Then reload the page half-way', query: 'Count to 500' },
    compare: { title: 'Compare two speeds', detail: 'Side by side, in one stream', query: 'Who is faster?' },
    greet: { title: '你好', detail: 'Chinese works just as well', query: '你好，Millrace 是什么？' },
  },

  composerLabel: 'Your question',
  composerPlaceholder: 'Ask something…',
  composerHint: 'Enter sends, Shift+Enter makes a new line',
  queryTooLong: (length: string, max: string) => `${length} of ${max} characters: please shorten`,
  send: 'Send',
  stop: 'Stop',
  stopping: 'Stopping…',
  queued: 'Will be sent when the answer above has ended',
  sending: 'Sending…',
  waitingToSend: 'The server cannot be reached; this will be sent when it is back',
  takeBack: 'Take back',
  retry: 'Retry',
  continue: 'Continue',
  /** Other lanes go on, too. */
  continueAll: 'Continue all',
  continuing: 'Continuing…',
  copy: 'Copy',
  copied: 'Copied',
  copyAnswer: 'Copy answer',
  jumpToLatest: 'Jump to latest',
  jumpToNew: 'New below',
  transcript: 'Conversation',
  you: 'You',
  lanes: 'Answers side by side',
  reasoning: 'Reasoning',
  reasoningLive: 'Thinking…',

  models: {
    label: 'Model',
    serverDefault: 'Server’s default',
    choose: (name: string) => `Model: ${name}. Choose another`,
    title: 'Choose a model',
    search: 'Search, or type provider:model',
    use: (name: string) => `Use “${name}”`,
    compare: 'Compare',
    compareLabel: 'Add a model to compare',
    remove: (name: string) => `Remove ${name}`,
    none: 'Nothing matches. A full name such as openai:gpt-6-luna works too.',
    loadFailed: 'The list of models could not be read.',
    hint: 'Options: sim:count?n=500&tps=100',
    preferred: 'default',
    descriptions: modelDescriptions,
  },
  notLanguageModel: 'not a language model',
  kinds: { guide: 'Built-in guide', simulation: 'Simulation' },

  status: {
    waiting: 'Waiting for the first word',
    thinking: 'Thinking',
    streaming: 'Writing',
    completed: 'Done',
    stopped: 'Stopped',
    failed: 'Failed',
    interrupted: 'Interrupted',
  },
  metrics: {
    label: 'Measured by the server',
    firstToken: (time: string) => `first word ${time}`,
    rate: (rate: string) => `${rate} tok/s`,
    tokens: (count: string) => `${count} tokens`,
    total: (time: string) => `${time} in all`,
    characters: (count: string) => `${count} characters`,
    estimated: 'Counted by Millrace: the provider did not report its usage',
    lengthLimit: 'Cut off at the model’s length limit',
  },
  seconds: (value: string) => `${value} s`,
  milliseconds: (value: string) => `${value} ms`,

  error: {
    titles: errorTitles,
    generic: 'Something went wrong',
    kept: 'What was said so far is kept.',
    interruptedTitle: 'The server went away in mid-answer',
    explain: 'What does this mean?',
  },
  missing: {
    title: 'This conversation is not here',
    text: 'It was never begun, or the server no longer keeps it.',
  },
  lost: 'The server no longer has what stands above. It stays here until you leave; the next question begins anew.',
  cutBeginning: 'The beginning of this conversation is no longer kept.',
  loading: 'Opening the conversation…',

  connection: {
    label: 'Connection',
    ready: 'Ready',
    'catching-up': 'Catching up',
    live: 'Live',
    reconnecting: 'Reconnecting',
    reconnectingIn: (seconds: string) => `Retrying in ${seconds} s`,
    offline: 'Offline',
    lost: 'Gone',
    retryNow: 'Try again now',
  },
  transport: {
    label: 'Transport',
    choose: (name: string) => `Transport: ${name}. Choose another`,
    now: (name: string) => `What works best here: ${name}`,
    names: { auto: 'Automatic', sse: 'SSE', ws: 'WebSocket', hybrid: 'Hybrid', poll: 'Long-poll' },
    /** On a phone. */
    short: { sse: 'SSE', ws: 'WS', hybrid: 'Hybrid', poll: 'Poll' },
    details: {
      auto: 'What works best here',
      sse: 'Server-sent events down, requests up',
      ws: 'One socket for both ways',
      hybrid: 'Questions over a WebSocket, answers over SSE',
      poll: 'One answer at a time, where nothing else gets through',
    },
  },
  announce: {
    generating: 'Generating an answer',
    still: (count: string) => `Still generating, ${count} characters so far`,
    ready: 'The answer is ready',
    stopped: 'The answer was stopped',
    failed: 'The answer failed',
  },
}

export type Dictionary = typeof en
