// The ways a job of the workload fails. Each has a class, a message and a stack of its own, so each is one fingerprint;
// the numbers and ids inside a message differ from job to job and from attempt to attempt.

class NamedError extends Error {
  constructor(message) {
    super(message);
    this.name = this.constructor.name;
  }
}
class PaymentError extends NamedError {}
class TemplateError extends NamedError {}
class ConnectionRefusedError extends NamedError {}
class PlainSubclass extends Error {} // sets no name: BullMQ's stack says "Error"

function identifier(number) {
  const hex = (number * 2654435761).toString(16).padStart(12, '0').slice(-12);
  return `${hex.slice(0, 8)}-${hex.slice(0, 4)}-4${hex.slice(1, 4)}-8${hex.slice(5, 8)}-${hex}`;
}

function chargeCard(number) {
  throw new PaymentError(`Card declined for customer ${number} (code 402)`);
}
function totalOfInvoice(number) {
  const invoices = {};
  return invoices[number].total; // TypeError of the engine's own
}
function openWarehouse(number) {
  throw new ConnectionRefusedError(`connect ECONNREFUSED 127.0.0.1:${20000 + (number % 9999)}`);
}
function renderTemplate(number) {
  throw new TemplateError(`Template mail-${number} is broken:\n  line ${number % 80}: unknown tag <b>{{ name }}</b>\n    ^^^^ here`);
}
function deliverMail(number) {
  throw new Error(`Timeout after ${3000 + (number % 1000)} ms while delivering ${identifier(number)}`);
}
function parseFeed(number) {
  return JSON.parse(`<html>${number}`); // SyntaxError, top frame JSON.parse
}
function findOrder(number) {
  throw new RangeError(`ההזמנה ${number} לא נמצאה 🚫`);
}
function validateForm(number) {
  throw new PlainSubclass(`Field ${number} holds <script>alert(${number})</script><img src=x onerror=alert(1)>`);
}

/** Failures by key, in a fixed order. Call one with a number; it throws. */
export const FAILURES = {
  'card-declined': chargeCard,
  'no-invoice': totalOfInvoice,
  'warehouse-refused': openWarehouse,
  'template-broken': renderTemplate,
  'mail-timeout': deliverMail,
  'feed-not-json': parseFeed,
  'order-missing-rtl': findOrder,
  'html-in-message': validateForm,
};

/** The failure of jobs that must not be tried again, thrown as the given version's UnrecoverableError. */
export function cancelOrder(UnrecoverableError, number) {
  throw new UnrecoverableError(`Order ${number} was cancelled by its owner`);
}

/** Something thrown that is no Error: BullMQ keeps neither message nor stack of it. */
export function throwText(number) {
  throw `only text ${number}`;
}
