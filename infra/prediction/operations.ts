/** A product of two matrices takes two operations for each product of two numbers. */
export const PRODUCT = 2;
