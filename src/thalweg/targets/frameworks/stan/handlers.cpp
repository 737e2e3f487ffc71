// The density of a Stan program as functions that XLA calls from its own programs. Operands are
// the numbers of models, (…, 1), and points, (…, d), in float32 or float64; a batch has one number
// for each point. It is compiled behind rows.cpp.

#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;

using Numbers = ffi::Buffer<ffi::U32>;
using Points = ffi::AnyBuffer;
using Results = ffi::Result<ffi::AnyBuffer>;

// The models of all points: most often one and the same. Empty where a number names none.
std::vector<std::shared_ptr<Handle>> find_all(const Numbers& numbers) {
  std::vector<std::shared_ptr<Handle>> found;
  const uint32_t* number = numbers.typed_data();
  for (size_t row = 0; row < numbers.element_count(); ++row) {
    const bool same = row > 0 && number[row] == number[row - 1];
    found.push_back(same ? found.back() : find(number[row]));
    if (!found.back()) return {};
  }
  return found;
}

size_t dimension(const Points& points) {
  return points.dimensions().size() == 0 ? 0 : points.dimensions().back();
}

// Calls `one(model, row)` for each point. `widths` are the sizes of a row of each result.
template <typename Function>
ffi::Error for_points(const Numbers& numbers, const Points& points, std::vector<Results> results,
                      std::vector<size_t> widths, const Function& one) {
  const size_t rows = numbers.element_count();
  const size_t size = dimension(points);
  bool fits = points.element_count() == rows * size;
  for (size_t i = 0; i < results.size(); ++i)
    fits = fits && results[i]->element_type() == points.element_type() &&
           results[i]->element_count() == rows * widths[i];
  const auto owners = find_all(numbers);
  if (owners.size() != rows) return ffi::Error::InvalidArgument("the Stan program is gone");
  for (const auto& own : owners) fits = fits && own->model->num_params_r() == size;
  if (!fits) return ffi::Error::InvalidArgument("points of another shape than the Stan program's");
  for_rows(rows, [&](size_t row) { one(*owners[row]->model, row); });
  return ffi::Error::Success();
}

template <typename Number>
ffi::Error values_in(Numbers numbers, Points points, Results values) {
  const auto* u = static_cast<const Number*>(points.untyped_data());
  auto* out = static_cast<Number*>(values->untyped_data());
  return for_points(numbers, points, {values}, {1}, [=](const Model& model, size_t row) {
    value_row(model, u, row, true, out);
  });
}

template <typename Number>
ffi::Error gradients_in(Numbers numbers, Points points, Results values, Results gradients) {
  const auto* u = static_cast<const Number*>(points.untyped_data());
  auto* out = static_cast<Number*>(values->untyped_data());
  auto* slopes = static_cast<Number*>(gradients->untyped_data());
  return for_points(
      numbers, points, {values, gradients}, {1, dimension(points)},
      [=](const Model& model, size_t row) { gradient_row(model, u, row, out, slopes); });
}

template <typename Number>
ffi::Error hessians_in(Numbers numbers, Points points, Results hessians) {
  const auto* u = static_cast<const Number*>(points.untyped_data());
  auto* out = static_cast<Number*>(hessians->untyped_data());
  const size_t size = dimension(points);
  return for_points(
      numbers, points, {hessians}, {size * size},
      [=](const Model& model, size_t row) { hessian_row(model, u, row, out); });
}

// Nothing is raised into XLA.
template <typename Narrow, typename Wide>
ffi::Error by_type(const Points& points, const Narrow& narrow, const Wide& wide) {
  try {
    if (points.element_type() == ffi::F32) return narrow();
    if (points.element_type() == ffi::F64) return wide();
    return ffi::Error::InvalidArgument("points of a Stan program are float32 or float64");
  } catch (const std::exception& error) {
    return ffi::Error::Internal(error.what());
  }
}

ffi::Error values(Numbers numbers, Points points, Results out) {
  return by_type(
      points, [&] { return values_in<float>(numbers, points, out); },
      [&] { return values_in<double>(numbers, points, out); });
}

ffi::Error gradients(Numbers numbers, Points points, Results out, Results slopes) {
  return by_type(
      points, [&] { return gradients_in<float>(numbers, points, out, slopes); },
      [&] { return gradients_in<double>(numbers, points, out, slopes); });
}

ffi::Error hessians(Numbers numbers, Points points, Results out) {
  return by_type(
      points, [&] { return hessians_in<float>(numbers, points, out); },
      [&] { return hessians_in<double>(numbers, points, out); });
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    thalweg_ffi_values, values,
    ffi::Ffi::Bind().Arg<Numbers>().Arg<Points>().Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(thalweg_ffi_values_and_gradients, gradients,
                              ffi::Ffi::Bind()
                                  .Arg<Numbers>()
                                  .Arg<Points>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    thalweg_ffi_hessians, hessians,
    ffi::Ffi::Bind().Arg<Numbers>().Arg<Points>().Ret<ffi::AnyBuffer>());
