import { freshCode, type TestCustomer } from './bank-fixtures.ts'
import { type Answer, exchange } from './exchange.ts'
import type { TestServer } from './test-server.ts'
import type { ThirdParty } from './third-party.ts'

type Cookie = { readonly name: string; readonly value: string; readonly path: string }

/** A browser without JavaScript: keeps cookies by path, follows nothing by itself unless told to. */
export class Browser {
  readonly server: TestServer
  /** By name and path, as browsers keep them. */
  readonly cookies = new Map<string, Cookie>()

  constructor(server: TestServer) {
    this.server = server
  }

  async get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.visit(url, { headers: { ...headers } })
  }

  /** Posts as a browser does from a page with `Referrer-Policy: no-referrer`. */
  async post(url: string, form: URLSearchParams, headers: Record<string, string> = {}): Promise<Answer> {
    return this.visit(url, { form, headers: { origin: 'null', 'sec-fetch-site': 'same-origin', ...headers } })
  }

  /** Where redirects on the issuer's own origin lead. */
  async follow(answer: Answer): Promise<Answer> {
    let current = answer
    for (let hops = 0; hops < 6 && current.status === 303; hops++) {
      const url = new URL(current.headers['location'] ?? '', this.server.issuer)
      if (url.origin !== this.server.issuer) return current
      current = await this.get(url.href)
    }
    return current
  }

  private async visit(url: string, request: { form?: URLSearchParams; headers: Record<string, string> }): Promise<Answer> {
    const absolute = new URL(url, this.server.issuer)
    const cookie = [...this.cookies.values()]
      .filter(({ path }) => absolute.pathname === path || absolute.pathname.startsWith(path.endsWith('/') ? path : `${path}/`))
      .toSorted((one, other) => other.path.length - one.path.length)
      .map(({ name, value }) => `${name}=${value}`)
    const answer = await exchange(absolute.href, {
      ca: this.server.ca,
      ...request,
      headers: { accept: 'text/html', ...request.headers, cookie: cookie.join('; ') },
    })
    for (const line of answer.cookies) this.keep(line)
    return answer
  }

  cookie(name: string): Cookie | undefined {
    return [...this.cookies.values()].findLast((cookie) => cookie.name === name)
  }

  put(cookie: Cookie): void {
    this.cookies.delete(`${cookie.name} ${cookie.path}`)
    this.cookies.set(`${cookie.name} ${cookie.path}`, cookie)
  }

  private keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
    const [name = '', ...value] = pair.split('=')
    const path = attributes.find((attribute) => attribute.toLowerCase().startsWith('path='))?.slice(5) ?? '/'
    const gone = attributes.some((attribute) => /^expires=Thu, 01 Jan 1970/i.test(attribute))
    if (gone) this.cookies.delete(`${name} ${path}`)
    else this.put({ name, value: value.join('='), path })
  }
}

export type PageForm = { readonly action: string; readonly fields: URLSearchParams; readonly choices: readonly string[] }

/** The form of a page: its hidden fields, and what can be chosen. */
export function formOf(page: Answer): PageForm {
  const action = /<form[^>]*action="([^"]*)"/.exec(page.text)?.[1]
  if (action === undefined) throw new Error(`no form: ${page.status} ${page.text.slice(0, 2_000)}`)
  const inputs = [...page.text.matchAll(/<input\b[^>]*>/g)].map(([tag]) => tag)
  const value = (tag: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? ''
  const fields = new URLSearchParams(
    inputs.filter((tag) => value(tag, 'type') === 'hidden').map((tag) => [value(tag, 'name'), value(tag, 'value')] as [string, string]),
  )
  const choices = inputs.filter((tag) => ['checkbox', 'radio'].includes(value(tag, 'type'))).map((tag) => value(tag, 'value'))
  return { action, fields, choices }
}

export function fill(form: PageForm, values: Record<string, string | readonly string[]>): URLSearchParams {
  const filled = new URLSearchParams(form.fields)
  for (const [name, value] of Object.entries(values)) {
    filled.delete(name)
    for (const one of Array.isArray(value) ? value : [value]) filled.append(name, one as string)
  }
  return filled
}

/** One customer in front of one browser. */
export class CustomerAtBrowser {
  readonly browser: Browser
  readonly customer: TestCustomer

  constructor(server: TestServer, customer: TestCustomer) {
    this.browser = new Browser(server)
    this.customer = customer
  }

  /** Another browser with the cookies that this one has now: as a tab whose requests are under way beside its own, perhaps of somebody else. */
  beside(customer = this.customer): CustomerAtBrowser {
    const other = new CustomerAtBrowser(this.browser.server, customer)
    for (const cookie of this.browser.cookies.values()) other.browser.put(cookie)
    return other
  }

  async open(thirdParty: ThirdParty, requestUri: string): Promise<Answer> {
    return this.openWith({ client_id: thirdParty.clientId, request_uri: requestUri })
  }

  async openWith(query: Record<string, string>): Promise<Answer> {
    return this.browser.follow(await this.browser.get(`/auth?${new URLSearchParams(query)}`))
  }

  async submit(page: Answer, values: Record<string, string | readonly string[]>): Promise<Answer> {
    const form = formOf(page)
    return this.browser.follow(await this.browser.post(form.action, fill(form, { action: 'continue', ...values })))
  }

  async signIn(page: Answer): Promise<Answer> {
    const second = await this.submit(page, { username: this.customer.username, password: this.customer.password })
    return this.enterCode(second)
  }

  async enterCode(page: Answer): Promise<Answer> {
    return this.submit(page, { code: await freshCode(this.browser.server, this.customer) })
  }

  agree(page: Answer, accounts: readonly string[]): Promise<Answer> {
    return this.submit(page, { action: 'confirm', account: accounts })
  }
}

/** The parameters of the redirect to the third party. */
export function responseOf(answer: Answer): Record<string, string> {
  if (answer.status !== 303) throw new Error(`not redirected: ${answer.status} ${answer.text.slice(0, 3_000)}`)
  return Object.fromEntries(new URL(answer.headers['location'] ?? '').searchParams)
}

/** The same where the parameters are in the fragment: the query is what the redirect URI had. */
export function fragmentOf(answer: Answer): Record<string, string> {
  if (answer.status !== 303) throw new Error(`not redirected: ${answer.status} ${answer.text.slice(0, 3_000)}`)
  return Object.fromEntries(new URLSearchParams(new URL(answer.headers['location'] ?? '').hash.slice(1)))
}
