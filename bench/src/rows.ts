/** The rows of the benchmark. The variants of a row alternate, so that a drift of the machine affects all of them. */
import { measureRevocation, measureTokenCost } from './access.ts'
import { measureAppends } from './appends.ts'
import { measureAttach } from './attach.ts'
import { type Dialect, dialectQuestions } from './dialect-questions.ts'
import { measureDialect } from './dialects.ts'
import { type FanOutOptions, measureFanOut } from './fan-out.ts'
import { measureFirstFrames } from './first-frames.ts'
import { measureIdle } from './idle.ts'
import { measureLongSession } from './long-session.ts'
import { measureNodes } from './nodes.ts'
import type { Figures } from './processes.ts'
import { measureResume } from './resume.ts'
import { measureStart } from './start.ts'
import { measureTokens } from './tokens.ts'
import { measureWatchedFanOut, measureWatchedRuns } from './watching.ts'

export interface Row {
  readonly title: string
  /** By name; control rows first. */
  readonly variants: Readonly<Record<string, () => Promise<Figures>>>
}

type Variants = Row['variants']

const fanOut = (options: Omit<FanOutOptions, 'transport'>): Variants => ({
  sse: () => measureFanOut({ ...options, transport: 'sse' }),
  ws: () => measureFanOut({ ...options, transport: 'ws' }),
})

const tokens = (runs: number): Variants => ({
  'res-write': () => measureTokens({ server: 'res-write', runs }),
  memory: () => measureTokens({ runs }),
  sqlite: () => measureTokens({ engine: 'sqlite', runs }),
})

/** Beside the AI SDK's own server, and only its writing of a stream. */
const dialects = (runs: number, asked: readonly Dialect[]): Variants => ({
  'ai-sdk-pipe': () => measureDialect({ server: 'ai-sdk-pipe', dialect: 'ai-sdk', runs }),
  'ai-sdk-writer': () => measureDialect({ server: 'ai-sdk-writer', dialect: 'ai-sdk', runs }),
  ...Object.fromEntries(asked.map((dialect) => [dialect, () => measureDialect({ dialect, runs })])),
})

const allDialects = Object.keys(dialectQuestions) as Dialect[]

export const rows: Readonly<Record<string, Row>> = {
  'fan-out-50': {
    title: 'One log to 1,000 readers, 50 ev/s',
    variants: {
      control: () => measureFanOut({ server: 'control', transport: 'sse', eventsPerSecond: 50 }),
      sse: () => measureFanOut({ transport: 'sse', eventsPerSecond: 50 }),
      'ws-send': () => measureFanOut({ server: 'ws-send', transport: 'ws', eventsPerSecond: 50 }),
      ws: () => measureFanOut({ transport: 'ws', eventsPerSecond: 50 }),
    },
  },
  'fan-out-1000': {
    title: 'One log to 1,000 readers, 1,000 ev/s',
    variants: fanOut({ eventsPerSecond: 1000 }),
  },
  'fan-out-2000': {
    title: 'One log to 1,000 readers, 2,000 ev/s',
    variants: fanOut({ eventsPerSecond: 2000 }),
  },
  accepts: {
    title: 'One log to 1,000 readers, 1,000 ev/s, while 600 connections a second are opened',
    variants: fanOut({ eventsPerSecond: 1000, knocksPerSecond: 600 }),
  },
  'tokens-200': {
    title: '200 answers at 50 tokens/s, one reader each',
    variants: tokens(200),
  },
  'tokens-1000': {
    title: '1,000 answers at 50 tokens/s, one reader each',
    variants: { ...tokens(1000), 'memory, ws': () => measureTokens({ transport: 'ws', runs: 1000 }) },
  },
  'dialects-100': {
    title: "100 answers at 50 tokens/s, which the AI SDK's own server keeps up with, and in its dialect",
    variants: dialects(100, ['native', 'ai-sdk']),
  },
  'dialects-200': {
    title: "200 answers at 50 tokens/s in dialects of other people's clients, beside the AI SDK's own server",
    variants: dialects(200, allDialects),
  },
  'dialects-1000': {
    title: 'The same with 1,000 answers',
    variants: dialects(1000, allDialects),
  },
  'first-frames': {
    title: 'First frames in dialects, while 1,000 answers at 10 tokens/s are in progress',
    variants: { memory: () => measureFirstFrames(1000) },
  },
  access: {
    title: 'What metrics and lines cost, what a token costs, how soon a revocation arrives',
    variants: {
      'fan-out': measureWatchedFanOut,
      runs: measureWatchedRuns,
      token: measureTokenCost,
      revocation: () => measureRevocation(10_000),
    },
  },
  idle: {
    title: 'Memory of a connection on which nothing happens, slope from 5,000 to 10,000 (hybrid and poll: 2,000 to 4,000)',
    variants: {
      control: () => measureIdle({ server: 'control', transport: 'sse', from: 5000, to: 10_000 }),
      sse: () => measureIdle({ transport: 'sse', from: 5000, to: 10_000 }),
      ws: () => measureIdle({ transport: 'ws', from: 5000, to: 10_000 }),
      hybrid: () => measureIdle({ transport: 'hybrid', from: 2000, to: 4000 }),
      poll: () => measureIdle({ transport: 'poll', from: 2000, to: 4000 }),
    },
  },
  'long-session': {
    title: 'A session of 100,000 events',
    variants: { memory: () => measureLongSession('memory'), sqlite: () => measureLongSession('sqlite') },
  },
  resume: {
    title: '5,000 WebSocket readers, cut together and back within two seconds',
    variants: { ws: () => measureResume(5000) },
  },
  attach: {
    title: 'Attaching to a finished answer of 3,000 tokens',
    variants: { sse: () => measureAttach(3000) },
  },
  start: {
    title: '`millrace start` over 10,000 stored sessions',
    variants: { sqlite: () => measureStart(10_000) },
  },
  appends: {
    title: 'Appends of one token, each when the one before it is acknowledged',
    variants: {
      memory: () => measureAppends('memory'),
      sqlite: () => measureAppends('sqlite'),
      'sqlite:disk': () => measureAppends('sqlite:disk'),
      redis: () => measureAppends('redis'),
      nats: () => measureAppends('nats'),
    },
  },
  nodes: {
    title: '1,000 answers at 50 tokens/s on one server, read on another over Redis',
    variants: { redis: () => measureNodes(1000) },
  },
}
