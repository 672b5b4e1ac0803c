/**
 * Small settings that outlive a visit. Storage may be full, forbidden or hold anything at all, so
 * reading answers undefined and writing may do nothing: the page works without it.
 */
export function readSetting(name: string): string | undefined {
  try {
    return window.localStorage.getItem(`millrace.${name}`) ?? undefined
  } catch {
    // Forbidden by the browser: as if nothing had been kept.
    return undefined
  }
}

export function keepSetting(name: string, value: string | undefined): void {
  try {
    if (value === undefined) window.localStorage.removeItem(`millrace.${name}`)
    else window.localStorage.setItem(`millrace.${name}`, value)
  } catch {
    // Full or forbidden: the setting holds until the page is closed.
  }
}
