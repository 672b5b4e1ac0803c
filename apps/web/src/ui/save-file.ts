/** Saves a text as a file of this name. A link to the server would carry no token. */
export function saveFile(text: string, name: string): void {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(new Blob([text])), download: name })
  link.click()
  URL.revokeObjectURL(link.href)
}
