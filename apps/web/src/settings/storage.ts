/**
 * Small things that outlive a visit, and those that outlive a reload of this tab. Storage may be full, forbidden or hold
 * anything at all, so reading gives nothing and writing may do nothing: the page works without it.
 */
type Kind = 'localStorage' | 'sessionStorage'

/** As `sessionStorage`, but it never throws. */
export const tabStorage = safely('sessionStorage')
const ownStorage = safely('localStorage')

export function readSetting(name: string): string | undefined {
  return ownStorage.getItem(`millrace.${name}`) ?? undefined
}

export function keepSetting(name: string, value: string | undefined): void {
  if (value === undefined) ownStorage.removeItem(`millrace.${name}`)
  else ownStorage.setItem(`millrace.${name}`, value)
}

function safely(kind: Kind): Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> {
  const attempt = <T>(act: (storage: Storage) => T): T | null => {
    try {
      return act(window[kind])
    } catch {
      // Forbidden, or full: as if nothing had been kept, and what is set holds until the page is closed.
      return null
    }
  }
  return {
    getItem: (key) => attempt((storage) => storage.getItem(key)),
    setItem: (key, value) => void attempt((storage) => storage.setItem(key, value)),
    removeItem: (key) => void attempt((storage) => storage.removeItem(key)),
  }
}
