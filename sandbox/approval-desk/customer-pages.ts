import https from 'node:https'
import { text } from 'node:stream/consumers'

/** A page as a browser without JavaScript gets it, redirects within the issuer followed. */
export type Page = { readonly status: number; readonly path: string; readonly html: string }

export type PageForm = {
  readonly action: string
  readonly hidden: readonly (readonly [name: string, value: string])[]
  /** Names of the fields that are typed in. */
  readonly typed: ReadonlySet<string>
  /** What can be chosen, by value, and whether one of it or several. */
  readonly choices: readonly string[]
  readonly several: boolean
}

const redirectsAtMost = 6
const pageTimeoutMs = 20_000

/** One browser: the cookies of one customer at the issuer. */
export class CustomerPages {
  private readonly issuer: string
  private readonly ca: string
  private readonly cookies = new Map<string, string>()

  constructor({ issuer, ca }: { readonly issuer: string; readonly ca: string }) {
    this.issuer = issuer
    this.ca = ca
  }

  open(path: string): Promise<Page> {
    return this.follow(path)
  }

  send({ action, hidden }: PageForm, values: readonly (readonly [name: string, value: string])[]): Promise<Page> {
    return this.follow(action, new URLSearchParams([...hidden, ...values].map(([name, value]): [string, string] => [name, value])))
  }

  private async follow(path: string, form?: URLSearchParams): Promise<Page> {
    let at = path
    let body = form
    for (let redirects = 0; redirects <= redirectsAtMost; redirects++) {
      const { status, location, html } = await this.request(at, body)
      if (status !== 303 || location === undefined) return { status, path: at, html }
      const next = new URL(location, this.issuer)
      at = next.pathname + next.search
      body = undefined
    }
    throw new Error('the pages lead in circles')
  }

  private request(
    path: string,
    form: URLSearchParams | undefined,
  ): Promise<{ status: number; location: string | undefined; html: string }> {
    return new Promise((resolve, reject) => {
      const request = https.request(
        new URL(path, this.issuer),
        {
          method: form === undefined ? 'GET' : 'POST',
          ca: this.ca,
          timeout: pageTimeoutMs,
          headers: {
            accept: 'text/html',
            'user-agent': 'Bankside sandbox, answering for a demo customer',
            cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
            ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded', origin: this.issuer }),
          },
        },
        (response) => {
          for (const line of response.headers['set-cookie'] ?? []) this.keep(line)
          const { statusCode: status = 0 } = response
          text(response).then((html) => resolve({ status, location: response.headers.location, html }), reject)
        },
      )
      request.on('timeout', () => request.destroy(new Error('the authorization server does not answer')))
      request.on('error', reject)
      request.end(form?.toString())
    })
  }

  private keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';')
    const [name = '', ...value] = pair.split('=')
    if (attributes.some((attribute) => /^\s*expires=thu, 01 jan 1970/i.test(attribute))) this.cookies.delete(name)
    else this.cookies.set(name, value.join('='))
  }
}

/** The form that a page asks to be filled in; undefined for one that only tells. */
export function formOf({ html }: Page): PageForm | undefined {
  const [, action, inside = ''] = /<form class="form"[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/.exec(html) ?? []
  if (action === undefined) return undefined
  const inputs = [...inside.matchAll(/<input\b[^>]*>/g)].map(([tag]) => ({
    type: attribute(tag, 'type') || 'text',
    name: attribute(tag, 'name'),
    value: attribute(tag, 'value'),
  }))
  const chosen = inputs.filter(({ type }) => type === 'radio' || type === 'checkbox')
  return {
    action,
    hidden: inputs.filter(({ type }) => type === 'hidden').map(({ name, value }) => [name, value] as const),
    typed: new Set(inputs.filter(({ type }) => type === 'text' || type === 'password').map(({ name }) => name)),
    choices: chosen.map(({ value }) => value),
    several: chosen.some(({ type }) => type === 'checkbox'),
  }
}

const attribute = (tag: string, name: string): string => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? ''
