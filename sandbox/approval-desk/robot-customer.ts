import { setTimeout as sleep } from 'node:timers/promises'
import { totpCode } from '@bankside/bank/customers/totp'
import type { DemoCustomer } from '@bankside/bank/sandbox/demo-data'
import type { Clock } from '@bankside/service-kit/clock'
import { CustomerPages, formOf, type Page, type PageForm } from './customer-pages.ts'

export type Action = 'allow' | 'deny'
export type RobotNeeds = { readonly issuer: string; readonly ca: string; readonly clock: Clock }

const pagesAtMost = 8
const codePeriodMs = 30_000

/**
 * Answers for a demo customer on the very pages that a person would use, with the password and the codes of that customer:
 * nothing of the product is asked to check less. A code is good once, so a payment may have to wait for the next one.
 */
export class RobotCustomer {
  private readonly customer: DemoCustomer
  private readonly needs: RobotNeeds
  private pages: CustomerPages
  private lastCode = ''
  private turn: Promise<unknown> = Promise.resolve()

  constructor(customer: DemoCustomer, needs: RobotNeeds) {
    this.customer = customer
    this.needs = needs
    this.pages = new CustomerPages(needs)
  }

  /** One request at a time, as a person would. @throws when the pages do not lead to an answer. */
  answer(requestId: string, action: Action): Promise<void> {
    const answered = this.turn.then(() => this.answerNow(requestId, action))
    this.turn = answered.catch(() => {})
    return answered
  }

  private async answerNow(requestId: string, action: Action): Promise<void> {
    const path = `/connected-accounts/requests/${requestId}`
    let page = await this.pages.open(path)
    for (let count = 0; count < pagesAtMost; count++) {
      const form = formOf(page)
      if (form === undefined) {
        // Signing in ends at the overview; everything else that only tells is the end.
        if (page.path === path) return
        page = await this.pages.open(path)
      } else page = await this.fillIn(page, form, action)
    }
    throw new Error(`the pages for ${this.customer.username} came to no end`)
  }

  private async fillIn({ path }: Page, form: PageForm, action: Action): Promise<Page> {
    const { username, password } = this.customer
    const signingIn = path.endsWith('/sign-in')
    if (form.typed.has('password'))
      return this.pages.send(form, [
        ['username', username],
        ['password', password],
        ['action', 'continue'],
      ])
    if (action === 'deny' && !signingIn) return this.pages.send(form, [['action', 'cancel']])
    if (form.typed.has('code'))
      return this.pages.send(form, [
        ['code', await this.nextCode()],
        ['action', 'continue'],
      ])
    const chosen = form.several ? form.choices : form.choices.slice(0, 1)
    return this.pages.send(form, [...chosen.map((account) => ['account', account] as const), ['action', 'confirm']])
  }

  private async nextCode(): Promise<string> {
    const now = this.needs.clock.now()
    let code = totpCode(this.customer.totpSecret, now)
    if (code === this.lastCode) {
      await sleep(codePeriodMs - (now.getTime() % codePeriodMs))
      code = totpCode(this.customer.totpSecret, this.needs.clock.now())
    }
    this.lastCode = code
    return code
  }
}
