/**
 * Words that are not terms of the field. Each was once a private name for something that Kafka, Redis, Node or the HTML
 * standard has a word for, and stopped readers who know those. When a review finds another, add it here with what to
 * write instead.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './install.mjs'

/** What to look for, in any letter case, and what to write instead. */
const unclearWords: readonly (readonly [pattern: string, instead: string])[] = [
  ['anew', 'again; re-created; reset'],
  ['whom?ever', 'who does it: a client, a caller, a host'],
  ['rung|ringers?|ringable', 'notified; watcher; signal'],
  ['ears|deaf|unhear|hears', 'subscriber; unsubscribed; isSubscribed'],
  ['insists?', 'retries until'],
  ['vouch(es|ed)?', 'verifies; isVerified'],
  ['witness(es)?|testimony', 'high-water mark; commit marker'],
  ['doubts|doubted', 'quarantine; isQuarantined'],
  ['shelf', 'index cache'],
  ['appetite', 'delivery options; flow options'],
  ['pulse', 'heartbeat'],
  ['obey(s|ed)?', 'handles; handled'],
  ['let(s|ting)? go', 'disconnects; releases; drains; trims'],
  ['takes? back|took back', 'rolls back; withdraws'],
  ['for good', 'permanently'],
  ['all the same', 'still; anyway'],
  ['stands? in the log|stood in the log', 'is recorded'],
  ['(is|are|was|were|be|been|being) told', 'gets an error; is notified; learns'],
  ['(at most|at least|after|for|of) so (many|much|long)', 'the noun: at most this number of events'],
  ['ask(s|ed)? around', 'polls'],
]

/** Files that the check reads: all but this list, and texts that are records of their time. */
export const wordFiles = ['*.ts', '*.tsx', '*.mjs', '*.cjs', '*.md', ':!scripts/words*.ts', ':!docs/decisions', ':!.changeset']

/** One sentence for each unclear word in the files. */
export function findUnclearWords(files: readonly string[]): string[] {
  return files.flatMap((file) => findInText(readFileSync(join(root, file), 'utf8')).map((problem) => `${file}:${problem}`))
}

/** `line: "word" …` for each unclear word of a text. */
export function findInText(text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const words = splitIdentifiers(line)
    return patterns.flatMap(({ pattern, instead }) => {
      const word = pattern.exec(words)?.[0]
      return word === undefined ? [] : [`${index + 1}: "${word}" is unclear; write: ${instead}.`]
    })
  })
}

/** `letGo` is read as `let Go`. */
function splitIdentifiers(line: string): string {
  return line.replace(/([a-z\d])([A-Z])/g, '$1 $2')
}

const patterns = unclearWords.map(([pattern, instead]) => ({ pattern: new RegExp(`\\b(${pattern})\\b`, 'i'), instead }))
