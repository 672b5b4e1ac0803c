/** Where the bytes of a file are read: they are in no message, because clients post their messages back. */
export const fileUrl = (session: string, position: string) => `/api/files/${session}/${position}`

/** The position of a file of this session; undefined for any other address. */
export function parseFileUrl(session: string, url: string): string | undefined {
  const [, owner, file] = /^(?:https?:\/\/[^/]+)?\/api\/files\/([\w-]{1,64})\/([\w:-]{1,200})$/.exec(url) ?? []
  return owner === session ? file : undefined
}
