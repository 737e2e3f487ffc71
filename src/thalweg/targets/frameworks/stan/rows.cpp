// The models of a Stan program in this process, and one row of what thalweg asks of them. It is
// compiled behind the C++ that stanc writes for the program. A model is named by a number, never by
// its address: a number that names none is refused, whoever kept it for too long.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

#include <stan/model/log_prob_grad.hpp>

namespace {

using Model = stan::model::model_base;

const double nan_value = std::numeric_limits<double>::quiet_NaN();
const double minus_infinity = -std::numeric_limits<double>::infinity();
const double worth = 2e-4;  // seconds of work, of which beginning a thread takes a half

struct Handle {
  std::unique_ptr<Model> model;
  std::string text;  // what thalweg_describe answers last
};

struct Table {
  std::mutex mutex;
  std::unordered_map<uint32_t, std::shared_ptr<Handle>> models;
  uint32_t last = 0;  // no number is given twice
};

// It is never destroyed: while a process ends, threads of XLA may still evaluate a density.
Table& table() {
  static auto* own = new Table;
  return *own;
}

// The model of a number, alive as long as it is held; null where there is none.
std::shared_ptr<Handle> find(uint32_t number) {
  std::lock_guard<std::mutex> lock(table().mutex);
  const auto found = table().models.find(number);
  return found == table().models.end() ? nullptr : found->second;
}

// Stan's automatic differentiation keeps its stack by thread, and calls come from any.
void prepare_thread() { static thread_local stan::math::ChainableStack stack; }

size_t processors() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// Calls `one`, which raises nothing, for each of n rows. Processors share out what the first row
// shows to be much work.
template <typename Function>
void for_rows(size_t n, const Function& one) {
  if (n == 0) return;
  prepare_thread();
  const auto start = std::chrono::steady_clock::now();
  one(0);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  const double shares = taken.count() * (n - 1) / worth;
  const size_t threads = std::min({processors(), n - 1, static_cast<size_t>(shares)});
  std::atomic<size_t> next{1};
  const auto work = [&] {
    prepare_thread();
    for (size_t row = next++; row < n; row = next++) one(row);
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    while (others.size() + 1 < threads) others.emplace_back(work);
  } catch (const std::system_error&) {  // there are no more threads: these do
  }
  work();
  for (auto& thread : others) thread.join();
}

template <typename Number>
Eigen::VectorXd point_at(const Number* points, size_t row, size_t size) {
  using Row = Eigen::Matrix<Number, Eigen::Dynamic, 1>;
  return Eigen::Map<const Row>(points + row * size, size).template cast<double>();
}

double density(const Model& model, Eigen::VectorXd& u, bool jacobian) {
  return jacobian ? model.log_prob_jacobian(u, nullptr) : model.log_prob(u, nullptr);
}

double gradient_at(const Model& model, Eigen::VectorXd& u, Eigen::VectorXd& gradient) {
  return stan::model::log_prob_grad<false, true>(model, u, gradient, nullptr);
}

// The three that follow write one row. What float32 cannot hold is infinite in it.

// ln p̃: −inf where the program rejects the point, NaN where it fails in another way.
template <typename Number>
void value_row(const Model& model, const Number* points, size_t row, bool jacobian,
               Number* values) noexcept {
  double value = nan_value;
  try {
    Eigen::VectorXd u = point_at(points, row, model.num_params_r());
    if (!u.hasNaN()) value = density(model, u, jacobian);
  } catch (const std::domain_error&) {
    value = minus_infinity;
  } catch (...) {
  }
  values[row] = static_cast<Number>(value);
}

// The same with the gradient, which is 0 where the value is −inf and NaN where it is NaN.
template <typename Number>
void gradient_row(const Model& model, const Number* points, size_t row, Number* values,
                  Number* gradients) noexcept {
  const size_t size = model.num_params_r();
  Number* own = gradients + row * size;
  double value = nan_value;
  try {
    Eigen::VectorXd u = point_at(points, row, size), slope = Eigen::VectorXd::Zero(size);
    if (!u.hasNaN()) value = gradient_at(model, u, slope);
    for (size_t i = 0; i < size; ++i) own[i] = static_cast<Number>(slope[i]);
  } catch (const std::domain_error&) {
    value = minus_infinity;
  } catch (...) {
    value = nan_value;
  }
  values[row] = static_cast<Number>(value);
  if (value == minus_infinity) std::fill(own, own + size, Number(0));
  if (std::isnan(value)) std::fill(own, own + size, static_cast<Number>(nan_value));
}

// The Hessian: central differences of the exact gradient, made symmetric. The step is
// ε^{1/3} max(1, |uᵢ|), for which rounding and curvature of the gradient cost about the same.
template <typename Number>
void hessian_row(const Model& model, const Number* points, size_t row,
                 Number* hessians) noexcept {
  const size_t size = model.num_params_r();
  const double relative = std::cbrt(std::numeric_limits<double>::epsilon());
  Number* own = hessians + row * size * size;
  try {
    const Eigen::VectorXd u = point_at(points, row, size);
    if (u.hasNaN()) throw std::domain_error("not a number");
    Eigen::MatrixXd found(size, size);
    Eigen::VectorXd moved = u, ahead(size), behind(size);
    for (size_t i = 0; i < size; ++i) {
      const double step = relative * std::max(1.0, std::abs(u[i]));
      moved[i] = u[i] + step;
      const double above = moved[i];
      gradient_at(model, moved, ahead);
      moved[i] = u[i] - step;
      const double below = moved[i];
      gradient_at(model, moved, behind);
      moved[i] = u[i];
      found.col(i) = (ahead - behind) / (above - below);  // the distance as it was rounded
    }
    found = (0.5 * (found + found.transpose())).eval();
    for (size_t i = 0; i < size * size; ++i) own[i] = static_cast<Number>(found.data()[i]);
  } catch (...) {
    std::fill(own, own + size * size, static_cast<Number>(nan_value));
  }
}

}  // namespace
