/** Files for the next question: uploaded as soon as they are chosen, so that sending it does not wait for them. */
import type { MillraceError, Session } from '@millrace/client'
import { type UploadedFile, upload } from '@millrace/client/files'
import { useEffect, useRef, useState } from 'react'

export interface Attachment {
  readonly id: number
  readonly name: string
  readonly size: number
  /** From 0 to 1. */
  readonly progress: number
  readonly uploaded?: UploadedFile
  readonly error?: MillraceError
}

export interface Attachments {
  readonly list: readonly Attachment[]
  /** All of them are there. */
  readonly isReady: boolean
  readonly add: (files: Iterable<File>) => void
  readonly remove: (id: number) => void
  /** Those that are there, which belong to a question now. */
  readonly take: () => readonly UploadedFile[]
}

export function useAttachments(session: Session): Attachments {
  const [list, setList] = useState<readonly Attachment[]>([])
  const aborts = useRef(new Map<number, AbortController>())
  const nextId = useRef(0)

  // What was attached to one conversation belongs to no other.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation is what ends it
  useEffect(() => {
    const own = aborts.current
    return () => {
      for (const abort of own.values()) abort.abort()
      own.clear()
      setList([])
    }
  }, [session])

  const change = (id: number, part: Partial<Attachment>) =>
    setList((before) => before.map((one) => (one.id === id ? { ...one, ...part } : one)))

  const begin = async (file: File) => {
    const id = nextId.current++
    const abort = new AbortController()
    aborts.current.set(id, abort)
    setList((before) => [...before, { id, name: file.name, size: file.size, progress: 0 }])
    try {
      const uploaded = await upload(session, file, {
        signal: abort.signal,
        onProgress: ({ bytes, size }) => change(id, { progress: size === 0 ? 0 : bytes / size }),
      })
      change(id, { uploaded, progress: 1 })
    } catch (error) {
      if (!abort.signal.aborted) change(id, { error: error as MillraceError })
    }
  }

  return {
    list,
    isReady: list.every(({ uploaded }) => uploaded !== undefined),
    add(files) {
      for (const file of files) void begin(file)
    },
    remove(id) {
      aborts.current.get(id)?.abort()
      setList((before) => before.filter((one) => one.id !== id))
    },
    take() {
      const taken = list.flatMap(({ uploaded }) => uploaded ?? [])
      setList([])
      return taken
    },
  }
}
