import path from 'node:path'
import type { Browser } from 'playwright-core'
import { type BrowserCustomer, browserCustomer } from '../customer/browser-customer.ts'
import { type Authenticator, authenticator } from '../customer/totp.ts'
import type { DemoCustomer, SandboxDescription } from '../sandbox/description.ts'
import type { Trace } from '../third-party/exchange.ts'
import { openThirdParty, type ThirdParty } from '../third-party/third-party.ts'
import { printExchange, traceBrowser } from './print-trace.ts'
import type { Story } from './story.ts'

/** Everything that the scenes share. */
export type Stage = {
  readonly sandbox: SandboxDescription
  readonly story: Story
  readonly codes: Authenticator
  readonly cast: Cast
  thirdParty(clientId: string): Promise<ThirdParty>
  /** A customer in front of a browser of her own, which is closed afterwards. */
  atTheBrowser<Result>(person: DemoCustomer, act: (customer: BrowserCustomer) => Promise<Result>): Promise<Result>
}

/** Who plays what. A code opens one door only, so the parts go to whoever's authenticator has codes left. */
export type Cast = {
  /** Has three accounts or more: shares two, pays, takes it back. */
  readonly payer: DemoCustomer
  readonly payee: DemoCustomer
  readonly bankCustomer: DemoCustomer
  readonly victims: readonly [DemoCustomer, DemoCustomer]
}

export function setStage(sandbox: SandboxDescription, home: string, browser: Browser, story: Story, traced: boolean): Stage {
  const codes = authenticator({
    memoryFile: path.join(home, 'demo-codes.json'),
    onWait: (seconds) => story.remark(`every code of this authenticator was used: waiting ${Math.ceil(seconds)} s for the next one`),
  })
  const trace: { trace?: Trace } = traced ? { trace: printExchange } : {}
  const opened = new Map<string, Promise<ThirdParty>>()
  return {
    sandbox,
    story,
    codes,
    cast: castOf(sandbox, codes),
    thirdParty(clientId) {
      const thirdParty = opened.get(clientId) ?? openThirdParty(sandbox, clientId, trace)
      opened.set(clientId, thirdParty)
      return thirdParty
    },
    async atTheBrowser(person, act) {
      const redirectUri = sandbox.clients[0]?.redirect_uris[0] ?? ''
      const customer = await browserCustomer(browser, person, codes, { redirectUri })
      if (traced) traceBrowser(customer.page)
      try {
        return await act(customer)
      } finally {
        await customer.close()
      }
    },
  }
}

function castOf({ customers }: SandboxDescription, codes: Authenticator): Cast {
  const rested = [...customers].sort((one, other) => codes.freshCodes(other) - codes.freshCodes(one))
  const sterling = ({ accounts }: DemoCustomer) =>
    accounts.filter(({ currency, account_number }) => currency === 'GBP' && account_number !== null).length
  const take = (part: string, suits: (customer: DemoCustomer) => boolean): DemoCustomer => {
    const index = rested.findIndex(suits)
    const [customer] = index < 0 ? [] : rested.splice(index, 1)
    if (customer === undefined) throw new Error(`no demo customer suits the part of the ${part}`)
    return customer
  }
  const payer = take('payer', (customer) => customer.accounts.length >= 3 && sterling(customer) >= 2)
  const bankCustomer = take('customer of the bank’s app', (customer) => sterling(customer) >= 1)
  const payee = take('payee', (customer) => sterling(customer) >= 1)
  return {
    payer,
    payee,
    bankCustomer,
    victims: [take('first victim', () => true), take('second victim', (customer) => sterling(customer) >= 1)],
  }
}

export const firstNameOf = ({ username }: DemoCustomer) => username.charAt(0).toUpperCase() + username.slice(1)
export const isSterling = ({ currency, account_number }: { currency: string; account_number: string | null }) =>
  currency === 'GBP' && account_number !== null
