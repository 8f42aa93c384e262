import type { DemoCustomer, SandboxDescription } from '../sandbox/description.ts'
import { type HttpsFetch, httpsFetch } from '../third-party/https-fetch.ts'
import { CookieJar } from './cookie-jar.ts'
import { formsOf, type HtmlForm, headingOf, hiddenFields, textOf } from './html-form.ts'
import { chosenAmong, type Journey, kindOf, type OfferedAccount, type Screen, screensPerJourney, type Wishes } from './screen.ts'
import type { Authenticator } from './totp.ts'

/** A page fetched without a browser, or the place outside the bank that the customer was sent to. */
export type Page = Screen & {
  readonly html: string
  readonly headers: Headers
  readonly forms: readonly HtmlForm[]
  readonly callback: URL | undefined
}

/** A customer with a cookie jar instead of a browser: no scripts, no styles, exactly what the server sends. */
export type HttpCustomer = {
  readonly person: DemoCustomer
  open(url: string | URL): Promise<Page>
  /** Answers the form of a page that has the button, or its first form. */
  submit(page: Page, fields: readonly (readonly [string, string])[], button?: string): Promise<Page>
  /** Answers one page as the wishes say. */
  answer(page: Page, wishes?: Wishes): Promise<Page>
  /** Goes all the way from a URL to the third party, or to a page that asks for nothing more. */
  authorise(url: string | URL, wishes?: Wishes): Promise<Journey>
}

const redirectsPerRequest = 8

export function httpCustomer(sandbox: SandboxDescription, person: DemoCustomer, authenticator: Authenticator): HttpCustomer {
  const fetch = httpsFetch({ caFile: sandbox.ca_file })
  const jar = new CookieJar()
  const request = (method: string, url: URL, form?: URLSearchParams) => follow(sandbox, fetch, jar, { method, url, form })
  const customer: HttpCustomer = {
    person,
    open: (url) => request('GET', new URL(url)),
    submit(page, fields, button) {
      const form = page.forms.find(({ buttons }) => buttons.some(({ value }) => value === button)) ?? page.forms[0]
      if (form === undefined) throw new Error(`nothing to answer on “${page.heading}” (${page.status}): ${page.text.slice(0, 300)}`)
      const pressed = form.buttons.find(({ value, name }) => value === button && name !== '')
      const sent = new URLSearchParams([...hiddenFields(form), ...fields.map(([name, value]) => [name, value])] as [string, string][])
      if (pressed) sent.append(pressed.name, pressed.value)
      const target = new URL(form.action || page.url, page.url)
      return request(form.method.toUpperCase(), target, sent)
    },
    async answer(page, wishes = {}) {
      await wishes.onScreen?.(page)
      if (wishes.cancelAt === page.kind) return await customer.submit(page, [], 'cancel')
      if (page.kind === 'sign_in') return await customer.submit(page, credentials(person), 'continue')
      if (page.kind === 'second_factor') return await customer.submit(page, [['code', await authenticator.freshCode(person)]], 'continue')
      const chosen = chosenAmong(page.kind, offeredOn(page), wishes)
      return await customer.submit(
        page,
        chosen.map((id) => ['account', id] as const),
        'confirm',
      )
    },
    async authorise(url, wishes = {}) {
      const screens: Page[] = []
      let page = await customer.open(url)
      while (page.callback === undefined) {
        screens.push(page)
        if (page.kind === 'message' || screens.length >= screensPerJourney) break
        page = await customer.answer(page, wishes)
      }
      if (page.callback === undefined && page.kind === 'message') await wishes.onScreen?.(page)
      return { screens, callback: page.callback }
    },
  }
  return customer
}

export const credentials = ({ username, password }: DemoCustomer) =>
  [
    ['username', username],
    ['password', password],
  ] as const

export function offeredOn(page: Page): OfferedAccount[] {
  return page.forms
    .flatMap(({ fields }) => fields)
    .filter(({ name, type }) => name === 'account' && type !== 'hidden')
    .map(({ value, checked, disabled }) => ({ id: value, checked, disabled }))
}

type Request = { method: string; url: URL; form?: URLSearchParams | undefined }

/** Follows redirects inside the issuer's origin and stops at the first URL outside it. */
async function follow(sandbox: SandboxDescription, fetch: HttpsFetch, jar: CookieJar, request: Request): Promise<Page> {
  let { method, url, form } = request
  if (method === 'GET' && form) url = new URL(`?${form}`, url)
  for (let hop = 0; hop < redirectsPerRequest; hop++) {
    const cookie = jar.header(url)
    const headers = {
      accept: 'text/html',
      ...(cookie === '' ? {} : { cookie }),
      ...(method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded', origin: url.origin } : {}),
    }
    const response = await fetch(url.href, { method, headers, body: method === 'POST' ? form : undefined })
    jar.take(response.headers)
    const location = response.headers.get('location')
    if (location === null) return pageOf(url, response, await response.text())
    const next = new URL(location, url)
    if (next.origin !== sandbox.issuer) return { ...pageOf(url, response, ''), callback: next }
    url = next
    method = 'GET'
  }
  throw new Error(`more than ${redirectsPerRequest} redirects, the last to ${url.pathname}`)
}

function pageOf(url: URL, response: Response, html: string): Page {
  const forms = formsOf(html)
  const fields = forms.flatMap((form) => form.fields)
  const buttons = forms.flatMap((form) => form.buttons)
  const { status, headers } = response
  return {
    kind: kindOf(fields, buttons),
    url: url.href,
    status,
    heading: headingOf(html),
    text: textOf(html),
    html,
    headers,
    forms,
    callback: undefined,
  }
}
