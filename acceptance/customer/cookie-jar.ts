/** Cookies of one host, with their paths. Ports do not separate cookies (RFC 6265 section 8.5), so neither does this. */
export class CookieJar {
  readonly #cookies = new Map<string, { name: string; value: string; path: string }>()

  take(headers: Headers): void {
    for (const line of headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';')
      const [name = '', ...value] = pair.trim().split('=')
      const path = attribute(attributes, 'path') ?? '/'
      const expired = Date.parse(attribute(attributes, 'expires') ?? '') <= Date.now() || Number(attribute(attributes, 'max-age')) <= 0
      if (expired) this.#cookies.delete(`${name};${path}`)
      else this.#cookies.set(`${name};${path}`, { name, value: value.join('='), path })
    }
  }

  header(url: URL): string {
    const sent = [...this.#cookies.values()].filter(
      ({ path }) => url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`),
    )
    return sent.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
}

function attribute(attributes: readonly string[], wanted: string): string | undefined {
  for (const text of attributes) {
    const [name = '', ...value] = text.trim().split('=')
    if (name.toLowerCase() === wanted) return value.join('=')
  }
  return undefined
}
