import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { DemoCustomer } from '../sandbox/description.ts'
import { chosenAmong, type Journey, kindOf, type OfferedAccount, type Screen, screensPerJourney, type Wishes } from './screen.ts'
import type { Authenticator } from './totp.ts'

export type BrowserCustomer = {
  readonly person: DemoCustomer
  readonly context: BrowserContext
  readonly page: Page
  open(url: string | URL): Promise<Screen>
  /** Presses a button or follows a link by what it says, and reads the page that follows. */
  press(name: string | RegExp): Promise<Screen>
  answer(screen: Screen, wishes?: Wishes): Promise<Screen>
  authorise(url: string | URL, wishes?: Wishes): Promise<Journey>
  close(): Promise<void>
}

export type BrowserSettings = {
  readonly redirectUri: string
  readonly viewport?: { width: number; height: number }
  readonly colorScheme?: 'light' | 'dark'
  readonly javaScriptEnabled?: boolean
}

const actionTimeoutMs = 10_000

/** A person in front of a real browser. Nothing listens at the redirect URI: the browser is answered there by the test. */
export async function browserCustomer(
  browser: Browser,
  person: DemoCustomer,
  authenticator: Authenticator,
  settings: BrowserSettings,
): Promise<BrowserCustomer> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    locale: 'en-GB',
    viewport: settings.viewport ?? { width: 1100, height: 900 },
    colorScheme: settings.colorScheme ?? 'light',
    javaScriptEnabled: settings.javaScriptEnabled ?? true,
  })
  context.setDefaultTimeout(actionTimeoutMs)
  const page = await context.newPage()
  await answerAt(page, settings.redirectUri)
  const read = () => screenOf(page)
  const customer: BrowserCustomer = {
    person,
    context,
    page,
    async open(url) {
      await page.goto(new URL(url).href)
      return await read()
    },
    async press(name) {
      const control = page.getByRole('button', { name }).or(page.getByRole('link', { name })).first()
      await followed(page, () => control.click())
      return await read()
    },
    async answer(screen, wishes = {}) {
      await wishes.onScreen?.(screen)
      if (wishes.cancelAt === screen.kind) await pressAction(page, 'cancel')
      else if (screen.kind === 'sign_in') {
        await page.locator('input[name=username]').fill(person.username)
        await page.locator('input[name=password]').fill(person.password)
        await pressAction(page, 'continue')
      } else if (screen.kind === 'second_factor') {
        await page.locator('input[name=code]').fill(await authenticator.freshCode(person))
        await pressAction(page, 'continue')
      } else {
        const chosen = chosenAmong(screen.kind, await offeredOn(page), wishes)
        for (const id of chosen) await page.locator(`input[name=account][value="${id}"]`).check()
        await pressAction(page, 'confirm')
      }
      return await read()
    },
    async authorise(url, wishes = {}) {
      const screens: Screen[] = []
      let screen = await customer.open(url)
      while (!page.url().startsWith(settings.redirectUri)) {
        screens.push(screen)
        if (screen.kind === 'message' || screens.length >= screensPerJourney) break
        screen = await customer.answer(screen, wishes)
      }
      const arrived = page.url().startsWith(settings.redirectUri)
      if (!arrived && screen.kind === 'message') await wishes.onScreen?.(screen)
      return { screens, callback: arrived ? new URL(page.url()) : undefined }
    },
    close: () => context.close(),
  }
  return customer
}

/** context.route does not see the requests of a redirect, the browser's own protocol does. */
async function answerAt(page: Page, redirectUri: string): Promise<void> {
  const session = await page.context().newCDPSession(page)
  session.on('Fetch.requestPaused', ({ requestId }) => {
    const body = Buffer.from('<!doctype html><html lang="en"><title>Third party</title><h1>Back at the third party</h1></html>').toString(
      'base64',
    )
    const responseHeaders = [{ name: 'content-type', value: 'text/html; charset=utf-8' }]
    // The page may be gone when the answer arrives; then nobody waits for it.
    session.send('Fetch.fulfillRequest', { requestId, responseCode: 200, responseHeaders, body }).catch(() => undefined)
  })
  await session.send('Fetch.enable', { patterns: [{ urlPattern: `${redirectUri}*` }] })
}

async function screenOf(page: Page): Promise<Screen> {
  const fields = await page
    .locator('input')
    .evaluateAll((inputs) =>
      inputs.map((input) => ({ name: input.getAttribute('name') ?? '', type: input.getAttribute('type') ?? 'text' })),
    )
  const buttons = await page.locator('button').evaluateAll((all) => all.map((button) => ({ value: button.getAttribute('value') ?? '' })))
  const heading = page.locator('h1').first()
  return {
    kind: kindOf(fields, buttons),
    url: page.url(),
    status: 200,
    heading: (await heading.count()) > 0 ? await heading.innerText() : '',
    text: (await page.locator('body').innerText()).replace(/\s+/g, ' ').trim(),
  }
}

async function offeredOn(page: Page): Promise<OfferedAccount[]> {
  return await page.locator('input[name=account]:not([type=hidden])').evaluateAll((inputs) =>
    inputs.map((input) => ({
      id: input.getAttribute('value') ?? '',
      checked: input.hasAttribute('checked'),
      disabled: input.hasAttribute('disabled'),
    })),
  )
}

const pressAction = (page: Page, action: string) => followed(page, () => page.locator(`button[value="${action}"]`).first().click())

/** Without scripts every press is a navigation: waits for the document that follows. */
async function followed(page: Page, act: () => Promise<void>): Promise<void> {
  const next = page.waitForEvent('domcontentloaded', { timeout: actionTimeoutMs })
  await Promise.all([next, act()])
  await page.waitForLoadState('load')
}
